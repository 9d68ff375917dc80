"""Secrets of pillar are taken out of texts, in whatever spelling."""

import base64
import html
import json
import random
import shlex
import string
import time
import urllib.parse

import pytest
import yaml
from salt.utils.yamlencoding import yaml_dquote

from salt_ubiq.errors import brief, shortened
from salt_ubiq.redact import Redactor

HIDDEN = "******"


def test_everything_below_a_secret_key_is_secret():
    pillar = {"secrets": {"database": {"name": "moodle"}, "tokens": ["first", ["second"]]}}
    assert Redactor(pillar)("moodle first second") == " ".join([HIDDEN] * 3)


def test_what_is_beside_a_secret_is_not_secret():
    pillar = {"database": {"password": "hunter2", "name": "moodle"}}
    assert Redactor(pillar)("moodle hunter2") == f"moodle {HIDDEN}"


def test_a_secret_that_yaml_reads_as_a_number_is_hidden():
    assert Redactor({"password": 12345678})("pw 12345678") == f"pw {HIDDEN}"


def test_of_several_pillars_all_secrets_are_hidden():
    redact = Redactor({"password": "hunter2"}, {"password": "hunter3"})
    assert redact("hunter2 hunter3") == f"{HIDDEN} {HIDDEN}"


def test_a_secret_that_begins_another_leaves_no_rest():
    assert Redactor({"tokens": ["abcd", "abcdefgh"]})("abcdefgh") == HIDDEN


def test_signs_with_a_meaning_in_patterns_are_taken_literally():
    redact = Redactor({"password": "a.c*(x"})
    assert redact("a.c*(x") == HIDDEN
    assert redact("abc*(x") == "abc*(x"


def test_a_line_of_a_multi_line_secret_is_hidden_by_itself():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n\n-----END KEY-----\n"
    redact = Redactor({"tls": {"private": key}})
    assert redact(f"wrote {key}") == f"wrote {HIDDEN}"
    assert redact("  + MIIEvQIBADANBg") == f"  + {HIDDEN}"


def test_a_very_short_value_would_be_found_in_any_text_and_stays():
    assert Redactor({"password": "abc"})("the alphabet begins with abc") == (
        "the alphabet begins with abc"
    )


@pytest.mark.parametrize("value", ["", None, True, [], {}])
def test_a_secret_without_a_value_hides_nothing(value):
    assert Redactor({"password": value})("True None text") == "True None text"


def test_without_pillar_a_text_stays_as_it_is():
    assert Redactor()("text") == "text"


AWKWARD = "a\"b'c d/é&<%\\ ~=?\tX"
SPELLINGS = {
    "as it is": str,
    "json": json.dumps,
    "json with letters": lambda text: json.dumps(text, ensure_ascii=False),
    "json with slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "yaml_dquote": yaml_dquote,
    "yaml": lambda text: yaml.dump({"x": text}, width=1000),
    "quote": shlex.quote,
    "repr": repr,
    "urlencode": urllib.parse.quote,
    "urlencode, all": lambda text: urllib.parse.quote(text, safe=""),
    "urlencode of forms": lambda text: urllib.parse.urlencode({"x": text}),
    "html": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}
SECRETS = {
    "awkward": AWKWARD,
    "simple": "hunter2hunter",
    "long": "".join(random.Random(2).choices(string.printable[:94], k=200)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_in_every_spelling(secret, spelling):
    spelled = SPELLINGS[spelling](SECRETS[secret])
    hidden = Redactor({"password": SECRETS[secret]})(f"it is {spelled} here")
    assert HIDDEN in hidden
    assert len(hidden.replace(HIDDEN, "").strip()) < len("it is 'password': ' here") + 8
    for start in range(len(spelled) - 12):
        assert spelled[start : start + 12].strip() not in hidden or not spelled[start:].strip()


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
def test_a_secret_is_hidden_in_the_base64_of_a_longer_text(before, encode):
    encoded = encode(f"{before}hunter2~?hunter2~?@host".encode()).decode()
    hidden = Redactor({"password": "hunter2~?hunter2~?"})(encoded)
    assert HIDDEN in hidden
    rest = base64.urlsafe_b64decode(hidden.partition(HIDDEN)[0].ljust(8, "A")[:8])
    assert b"hun" not in rest


def test_each_line_of_a_secret_is_hidden_in_every_spelling():
    redact = Redactor({"tls": {"key": "first/line one\nsecond/line two\n"}})
    assert redact(f"x {urllib.parse.quote('second/line two')} y") == f"x {HIDDEN} y"
    assert redact(json.dumps("first/line one\n+ more")) == f'"{HIDDEN}\\n+ more"'


def test_ordinary_text_is_left_as_it_is():
    redact = Redactor({"password": "hunter2", "key": "moodle-7", "url": "http://u:geheim@x/"})
    text = "web: file.managed /etc/nginx/sites-enabled/moodle.conf on db.example.org:5432, 80 users"
    assert redact(text) == text


def test_a_copy_learns_by_itself():
    first = Redactor({"password": "hunter2"})
    second = first.copy()
    second.hide(frozenset({"hunter3"}))
    assert first("hunter2 hunter3") == f"{HIDDEN} hunter3"
    assert second("hunter2 hunter3") == f"{HIDDEN} {HIDDEN}"


def test_a_secret_that_was_learnt_later_and_is_longer_leaves_no_rest():
    redact = Redactor({"password": "hunter2"})
    redact.hide(frozenset({"hunter2-and-more"}))
    assert redact("hunter2-and-more") == HIDDEN


def test_plain_data_is_cleaned_all_through():
    redact = Redactor({"password": "hunter2"})
    assert redact.plain({"a": ["x hunter2", {"hunter2": "hunter2"}], "b": (None, True)}) == {
        "a": [f"x {HIDDEN}", {"hunter2": HIDDEN}],
        "b": (None, True),
    }


def test_a_long_text_is_hidden_line_by_line_in_seconds():
    lines = ["".join(random.Random(i).choices(string.printable[:94], k=60)) for i in range(500)]
    started = time.process_time()
    redact = Redactor({"private": "\n".join(lines)})
    assert time.process_time() - started < 5
    shown = redact(json.dumps("\n".join(lines)))
    assert set(shown) <= set(f'{HIDDEN}"\\n')


def test_a_thousand_secrets_cost_little():
    chance = random.Random(3)
    values = ["".join(chance.choices(string.ascii_letters, k=20)) for _ in range(1000)]
    started = time.process_time()
    redact = Redactor({"password": values})
    made = time.process_time() - started
    text = (
        "an ordinary line of a log, of a hundred letters or so, as programs write them all day\n"
        * 1000
    )
    started = time.process_time()
    assert redact(text) == text
    assert made < 5
    assert time.process_time() - started < 1


@pytest.mark.parametrize("quote", [str, urllib.parse.quote_plus])
def test_the_beginning_of_a_secret_that_a_message_cuts_off_is_hidden(quote):
    secret = "k7/Qx9 Wd2-" * 30
    redact, whole = Redactor({"password": secret}), f"amqp://user:{quote(secret)}@host"
    for text in (brief(whole), shortened(whole, 40)):
        assert redact(text) == f"amqp://user:{HIDDEN}{text[text.index('…') :]}"
    assert redact("k7/Qx… is no more than it says") == f"{HIDDEN}… is no more than it says"

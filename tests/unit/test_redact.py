"""Which values of pillar are taken out of texts."""

import pytest

from salt_ubiq.redact import Redactor

HIDDEN = "******"


@pytest.mark.parametrize(
    "key",
    "password passwd db_pass passphrase secret SECRET_KEY_BASE token api_key apikey API-KEY key "
    "ssl_key private credentials".split(),
)
def test_a_value_under_a_key_that_says_secret_is_hidden(key):
    assert Redactor({"app": {key: "hunter2"}})("user=x pw=hunter2!") == f"user=x pw={HIDDEN}!"


@pytest.mark.parametrize("key", ["user", "keyboard", "monkey", "keys_dir", "host"])
def test_a_value_under_another_key_stays(key):
    assert Redactor({key: "hunter2"})("hunter2") == "hunter2"


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

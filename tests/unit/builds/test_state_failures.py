"""What is said of states that have failed."""

from __future__ import annotations

import pytest

from salt_ubiq.builds.state_failures import explained, is_hopeless

TRACEBACK = """An exception occurred in this state: Traceback (most recent call last):
  File "/dev/salt-ubiq/runtime/salt/py3/salt/state.py", line 2428, in call
    ret = self.states[cdata["full"]](

  File "/dev/salt-ubiq/runtime/salt/py3/salt/loader/lazy.py", line 160, in __call__
    ret = self.loader.run(run_func, *args, **kwargs)
salt.exceptions.CommandExecutionError: it went wrong
"""
TEMPLATE = """Unable to manage file: Jinja error: web/map.jinja
Traceback (most recent call last):
  File "/dev/salt-ubiq/runtime/salt/py3/salt/utils/templates.py", line 500, in render_jinja_tmpl
    output = template.render(**decoded_context)
jinja2.exceptions.TemplateNotFound: web/map.jinja

; line 1

---
{% from 'web/map.jinja' import web %}    <======================
---"""


def advice(comment):
    text = explained(comment)
    return text.partition("\n=> ")[2]


def test_of_a_traceback_only_its_last_line_is_told():
    assert explained(TRACEBACK) == "salt.exceptions.CommandExecutionError: it went wrong"


def test_what_is_around_a_traceback_stays():
    text = explained(TEMPLATE)
    assert "Traceback" not in text
    assert 'File "' not in text
    assert text.startswith("Unable to manage file: Jinja error: web/map.jinja\njinja2.exceptions.")
    assert "{% from 'web/map.jinja' import web %}    <====" in text
    assert text.endswith("=> see whether the file is in the state tree, in the saltenv that the "
                         "image has")  # fmt: skip


def test_two_tracebacks_are_cut_each():
    text = explained(TRACEBACK + "and\n" + TRACEBACK)
    line = "salt.exceptions.CommandExecutionError: it went wrong"
    assert text == f"{line}\nand\n{line}"


def test_what_is_plain_stays_as_it_is():
    assert explained('Command "false" run\nexit status 1\n') == 'Command "false" run\nexit status 1'
    assert explained("") == ""


def test_a_long_one_is_cut_off():
    text = explained("x" * 9000)
    assert len(text) < 3100
    assert text.endswith("x…")


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("E: Unable to locate package nginx-x", "check the name for this distribution"),
        ("E: Package 'a' has no installation candidate", "check the name for this distribution"),
        (
            "Unable to run command '['runlevel']' with the context",
            "the program is not in the image",
        ),
        ("/bin/sh: 1: git: command not found", "the program is not in the image"),
        ("[Errno 2] No such file or directory: 'git'", "the program is not in the image"),
        ("Jinja error: 'x' is undefined", "see whether the file is in the state tree"),
        ("Source file salt://a/b not found in saltenv 'base'", "see whether the file is in"),
        (
            "Recurse failed: none of the specified sources were found",
            "see whether the file is in the state tree",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "install the authority's"),
        ("fatal: server certificate verification failed. CAfile: none", "does not trust"),
        ("Temporary failure resolving 'deb.debian.org'", "containers of a build have no way"),
        ("<urlopen error [Errno -2] Name or service not known>", "see network_mode"),
        ("/etc/init.d/x start: exit status 1: no config", "services: offline has it only"),
        ("ModuleNotFoundError: No module named 'mako'", "name it in ubiq:runtime:pip"),
        (
            "State 'mysql_user.present' was not found in SLS 'db'\nReason: 'mysql_user' "
            "__virtual__ returned False",
            "(name it in ubiq:runtime:pip)",
        ),
    ],
)
def test_for_what_often_goes_wrong_there_is_advice(comment, expected):
    assert expected in advice(comment)
    assert explained(comment).startswith(comment)


def test_only_one_advice_is_given():
    assert explained("Unable to locate package x: Could not resolve 'y'").count("=>") == 1


def test_where_nothing_is_known_there_is_none():
    assert advice('Command "test -e /run/ready" run') == ""


@pytest.mark.parametrize(
    "comment",
    [
        "One or more requisite failed: web.nginx",
        "E: Unable to locate package nginx-x",
        "Unable to run command '['x']'",
        "Jinja error: 'x' is undefined",
        "Source file salt://a not found in saltenv 'base'",
    ],
)
def test_what_fails_on_any_image_is_hopeless(comment):
    assert is_hopeless({"comment": comment})


@pytest.mark.parametrize(
    "comment",
    [
        "",
        'Command "test -e /dev/shm/x" run',
        "Could not resolve 'x'",
        "/etc/init.d/x start: exit status 1",
    ],
)
def test_what_another_image_below_may_help_is_not(comment):
    assert not is_hopeless({"comment": comment})

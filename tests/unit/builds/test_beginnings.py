"""Which beginnings of services can be shared."""

import pytest

from salt_ubiq.builds.shared_layers import begins
from salt_ubiq.recipes.compiled_states import CompiledStates


def state(name, state="file", fun="managed", sls="begin", **more):
    plain = {"__id__": name, "__sls__": sls, "__env__": "base", "order": 10000}
    return {**plain, "name": name, "state": state, "fun": fun, **more}


BEGINNING = [state("/srv/one"), state("nginx", "pkg", "installed", require=[{"file": "/srv/one"}])]
LATER = state("/srv/later", sls="later")


def compiled(*chunks):
    return CompiledStates(chunks, {}, {})


def later(**requisites):
    """The beginning, and a state after it that has these requisites."""
    return compiled(*BEGINNING, state("true", "cmd", "run", sls="later", **requisites))


def test_the_same_states_first_are_a_beginning():
    assert begins(compiled(*BEGINNING), compiled(*BEGINNING, LATER))
    assert begins(compiled(*BEGINNING), compiled(*BEGINNING))


def test_the_place_of_a_state_among_all_does_not_count():
    assert begins(compiled(*BEGINNING), compiled(*({**each, "order": 1} for each in BEGINNING)))


@pytest.mark.parametrize(
    "whole",
    [
        compiled(LATER, *BEGINNING),
        compiled(BEGINNING[0], LATER, BEGINNING[1]),
        compiled(*reversed(BEGINNING)),
        compiled(BEGINNING[0], {**BEGINNING[1], "version": "1"}, LATER),
        compiled({**BEGINNING[0], "require": [{"file": "/srv/later"}]}, BEGINNING[1], LATER),
        compiled(BEGINNING[0]),
        compiled("Rendering SLS 'base:later' failed"),
    ],
)
def test_other_states_or_another_order_are_none(whole):
    assert not begins(compiled(*BEGINNING), whole)


def test_what_does_not_compile_is_none():
    assert not begins(compiled("Rendering SLS 'base:begin' failed"), compiled(*BEGINNING))


@pytest.mark.parametrize(
    "key",
    [
        "onchanges",
        "onchanges_any",
        "watch",
        "watch_any",
        "onfail",
        "onfail_all",
        "prereq",
        "listen",
    ],
)
@pytest.mark.parametrize(
    "of",
    [{"file": "/srv/one"}, {"pkg": "nginx"}, {"sls": "begin"}, "nginx", {"file": "/srv/o*"}],
)  # fmt: skip
def test_none_is_what_a_later_state_reacts_to(key, of):
    assert not begins(compiled(*BEGINNING), later(**{key: [{"file": "/srv/later"}, of]}))


@pytest.mark.parametrize(
    "requisites",
    [
        {"require": [{"file": "/srv/one"}]},
        {"onchanges": [{"file": "/srv/other"}]},
        {"watch": ["/srv/other"]},
        {"unless": "test -e /srv/one"},
    ],
)
def test_one_is_what_a_later_state_only_needs(requisites):
    assert begins(compiled(*BEGINNING), later(**requisites))


def test_none_is_what_listens_to_a_state_of_its_own():
    """That waits for the end of the whole."""
    listening = state("true", "cmd", "wait", listen=[{"file": "/srv/one"}])
    assert not begins(compiled(*BEGINNING, listening), compiled(*BEGINNING, listening, LATER))


def test_one_may_watch_a_state_of_its_own():
    watching = state("true", "cmd", "wait", watch=[{"file": "/srv/one"}])
    assert begins(compiled(*BEGINNING, watching), compiled(*BEGINNING, watching, LATER))

"""Which beginnings of services can be shared."""

import pytest

from salt_ubiq.catalogue.models import Service
from salt_ubiq.recipes import recipe
from salt_ubiq.recipes.beginning import (
    begins,
    differs_at,
    first,
    nearest_end,
    recipe_of_first,
    repeats,
)
from salt_ubiq.recipes.compiled_states import CompiledStates


def state(name, state="file", fun="managed", sls="begin", **more):
    plain = {"__id__": name, "__sls__": sls, "__env__": "base", "order": 10000}
    return {**plain, "name": name, "state": state, "fun": fun, **more}


BEGINNING = [state("/srv/one"), state("nginx", "pkg", "installed", require=[{"file": "/srv/one"}])]
LATER = state("/srv/later", sls="later")


def compiled(*chunks, files=(), pillar=None):
    return CompiledStates(chunks, dict.fromkeys(files, "1"), pillar or {})


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


SERVICE = Service(name="web", path="", repository="u/web", base="debian", mods=["begin"])
TEMPLATE = state("/srv/template", source="salt://template", template="jinja")
DIRECTORY = state("/srv/directory", fun="recurse", source="salt://directory")
SITE = compiled(
    state("nginx", "pkg", "installed"), TEMPLATE, DIRECTORY, LATER,
    files=["salt://template", "salt://directory/a", "salt://extra"], pillar={"word": "a"},
)  # fmt: skip


def recipe_of(states, asked=()):
    files = {**states.files, **dict(asked)}
    return recipe.of_service(SERVICE, "sha256:1", states, files, str)


def with_chunks(*chunks, **more):
    return CompiledStates(chunks, **{"files": SITE.files, "pillar": SITE.pillar, **more})


def with_files(**more):
    return with_chunks(*SITE.chunks, files={**SITE.files, **more})


@pytest.mark.parametrize(
    ("new", "count"),
    [
        (SITE, 4),
        (with_chunks(*SITE.chunks, state("/srv/last")), 4),
        (with_chunks(*SITE.chunks[:3]), 3),
        (with_chunks(*SITE.chunks[:3], {**LATER, "mode": "0600"}), 3),
        (with_chunks(LATER, *SITE.chunks[:3]), 0),
        (with_files(**{"salt://directory/a": "2"}), 2),
        (with_files(**{"salt://directory/new": "1"}), 2),
        # Whatever renders may have read these.
        (with_files(**{"salt://extra": "2"}), 1),
        (with_chunks(*SITE.chunks, pillar={"word": "b"}), 1),
    ],
)
def test_states_differ_where_they_or_what_they_read_does(new, count):
    assert differs_at(new, recipe_of(new), recipe_of(SITE)) == count


def test_a_file_that_was_asked_for_is_of_the_first_state_that_renders():
    asked = {"salt://map.jinja": "1"}
    assert differs_at(SITE, recipe_of(SITE, {"salt://map.jinja": "2"}), recipe_of(SITE, asked)) == 1


def test_the_first_states_have_their_own_files_and_those_that_no_state_names():
    assert first(SITE, 1).files == {"salt://extra": "1"}
    assert first(SITE, 2).files == {"salt://extra": "1", "salt://template": "1"}
    assert first(SITE, 3).files == SITE.files


def test_pillar_and_mods_are_of_a_beginning_only_where_its_states_may_read_pillar():
    one, two = first(SITE, 1), first(SITE, 2)
    assert recipe_of_first(recipe_of(one), one, own_modules=False).pillar == {}
    assert recipe_of_first(recipe_of(one), one, own_modules=True).pillar
    assert recipe_of_first(recipe_of(two), two, own_modules=False).pillar
    assert recipe_of_first(recipe_of(two), two, own_modules=False).mods == ()


@pytest.mark.parametrize(
    ("requisites", "count"),
    [({"require": [{"pkg": "nginx"}]}, 2), ({"onchanges": [{"file": "/srv/one"}]}, 0)],
)
def test_a_beginning_ends_before_what_a_later_state_reacts_to(requisites, count):
    assert nearest_end(later(**requisites), 2) == count


@pytest.mark.parametrize("key", ["require", "prereq", "watch"])
def test_a_beginning_has_no_state_that_needs_a_later_one(key):
    """As ``prereq`` has it, and all requisites with a Salt that orders states as it runs them."""
    needing = state("true", "cmd", "run", **{key: [{"file": "/srv/later"}]})
    assert nearest_end(compiled(*BEGINNING, needing, LATER), 3) == 2


def test_a_beginning_has_no_state_that_has_another_wait_for_the_end():
    listened = state("/srv/listened", listen_in=[{"cmd": "true"}])
    assert nearest_end(compiled(*BEGINNING, listened, LATER), 3) == 2


@pytest.mark.parametrize(
    ("chunk", "again"),
    [
        (state("true", "cmd", "run"), True),
        (state("true", "cmd", "run", unless="true"), False),
        (state("true", "cmd", "run", creates="/srv/x"), False),
        (state("true", "cmd", "run", onchanges_any=[{"file": "/srv/x"}]), False),
        (state("true", "cmd", "wait"), False),
        (state("nginx", "pkg", "installed"), False),
    ],
)
def test_a_command_without_a_condition_does_what_it_does_a_second_time(chunk, again):
    assert repeats(chunk) is again

"""What errors say to the person who must act."""

import pytest

from salt_ubiq.errors import (
    BuildCancelled,
    BuildError,
    CatalogueError,
    EngineError,
    Problem,
    StatesFailed,
    UbiqError,
    UnknownImage,
    near_matches,
)


@pytest.mark.parametrize(
    "kind", [CatalogueError, UnknownImage, EngineError, BuildError, StatesFailed, BuildCancelled]
)
def test_all_errors_are_of_one_tree(kind):
    assert issubclass(kind, UbiqError)


def test_one_mistake_is_singular():
    error = CatalogueError([Problem("ubiq:a", "wrong")])
    assert str(error) == "the catalogue has 1 mistake:\n  ubiq:a: wrong"


def test_mistakes_are_listed_a_line_each_and_kept():
    problems = [Problem("ubiq:a", "wrong"), Problem("ubiq:b", "wrong, too")]
    error = CatalogueError(problems, "the build of web")
    assert str(error) == ("the build of web has 2 mistakes:\n  ubiq:a: wrong\n  ubiq:b: wrong, too")
    assert error.problems == tuple(problems)


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["web", "database"], " (did you mean 'web'?)"),
        (["postgres", "mail"], "; it has mail, postgres"),
        ([], "; it is empty (pillar key 'ubiq')"),
    ],
)
def test_an_unknown_image_comes_with_what_there_is(known, hint):
    assert str(UnknownImage("wab", known)) == f"no image 'wab' in the catalogue{hint}"


def test_near_matches_are_at_most_three_and_the_nearest_first():
    text = near_matches("moodle", ["moodle1", "moodles", "moodle-web", "modle", "nginx"])
    assert text.count("'") == 6
    assert "nginx" not in text
    assert near_matches("moodle", ["nginx"]) == ""


def test_a_build_error_names_the_log_where_there_is_one():
    error = BuildError("web: it failed")
    assert str(error) == "web: it failed"
    error.log = "/var/cache/web.log"
    assert str(error) == "web: it failed\nlog: /var/cache/web.log"


def test_failed_states_are_kept_with_their_error():
    failed = {"id": "nginx", "sls": "web", "comment": "no"}
    error = StatesFailed("web: 1 of 2 states failed", [failed])
    assert error.failed == (failed,)
    assert str(error) == "web: 1 of 2 states failed"

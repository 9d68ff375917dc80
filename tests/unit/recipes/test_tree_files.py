"""What of a state tree an image depends on, by its low state alone."""

from __future__ import annotations

import pytest

from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.tree_files import left_out, looked_at

FILES = {
    "salt://web/conf": "1",
    "salt://web/other": "1",
    "salt://web/tree/one": "1",
    "salt://web/tree/one.bak": "1",
    "salt://web/tree/below/two.bak": "1",
    "salt://web/treehouse": "1",
}
TREE = {"salt://web/tree/one", "salt://web/tree/one.bak", "salt://web/tree/below/two.bak"}


def compiled(*chunks, files=FILES):
    return CompiledStates(list(chunks), dict(files), {})


def recurse(**more):
    return {"state": "file", "fun": "recurse", "source": "salt://web/tree", **more}


def managed(source="salt://web/conf", **more):
    return {"state": "file", "fun": "managed", "source": source, **more}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, set()),
        (
            {"exclude_pat": "*.bak"},
            {"salt://web/tree/one.bak", "salt://web/tree/below/two.bak"},
        ),
        ({"exclude_pat": "one*"}, {"salt://web/tree/one", "salt://web/tree/one.bak"}),
        ({"exclude_pat": "E@^below/"}, {"salt://web/tree/below/two.bak"}),
        ({"include_pat": "one"}, TREE - {"salt://web/tree/one"}),
        (
            {"include_pat": "one*", "exclude_pat": "*.bak"},
            TREE - {"salt://web/tree/one"},
        ),
        ({"exclude_pat": "treehouse"}, set()),
        ({"source": "salt://web/tree/", "exclude_pat": "one"}, {"salt://web/tree/one"}),
    ],
)
def test_what_a_directory_is_taken_without_is_left_out(more, expected):
    assert left_out(compiled(recurse(**more))) == expected


def test_what_another_state_takes_is_not_left_out():
    both = compiled(recurse(exclude_pat="*.bak"), managed("salt://web/tree/one.bak"))
    assert left_out(both) == {"salt://web/tree/below/two.bak"}
    again = compiled(recurse(exclude_pat="*.bak"), recurse())
    assert left_out(again) == set()


def test_a_pattern_of_another_state_leaves_nothing_out():
    assert left_out(compiled(managed("salt://web/tree/one", exclude_pat="*"))) == set()


def test_an_error_in_the_place_of_a_state_is_no_state():
    assert left_out(compiled("Rendering SLS failed")) == set()
    assert looked_at(compiled("Rendering SLS failed")) == set()


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (managed(), set()),
        (managed(mode="0644"), set()),
        (managed(mode="keep"), {"salt://web/conf"}),
        (managed(mode="keep", source=[{"salt://web/conf": "hash"}]), {"salt://web/conf"}),
        (
            managed(mode="keep", source=["salt://web/gone", "salt://web/conf", "salt://web/other"]),
            {"salt://web/conf", "salt://web/other"},
        ),
        (managed(mode="keep", source="https://example.org/x"), set()),
        (managed(mode="keep", source=None), set()),
        (recurse(), set()),
        (recurse(file_mode="keep"), TREE),
        (recurse(include_empty=True), {"empty directories of salt://web/tree"}),
        (recurse(keep_symlinks=True), {"links of salt://web/tree"}),
        (managed(include_empty=True, keep_symlinks=True), set()),
    ],
)
def test_what_states_look_at_beside_contents(chunk, expected):
    assert looked_at(compiled(chunk)) == expected


def test_files_of_another_saltenv_are_told_apart():
    files = {"salt://tree/one": "1", "salt://tree/one?saltenv=dev": "1"}
    chunk = recurse(source="salt://tree?saltenv=dev", exclude_pat="one")
    assert left_out(compiled(chunk, files=files)) == {"salt://tree/one?saltenv=dev"}

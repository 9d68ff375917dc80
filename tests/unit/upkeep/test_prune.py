"""Which images pruning counts as unused."""

from __future__ import annotations

import pytest

from salt_ubiq.engine.images import ListedImage
from salt_ubiq.upkeep.prune import unused

NOW = 1000.0
LAYER = "salt-ubiq.local/shared:0123"


def image(name, parent="", *references, created=NOW - 100):
    return ListedImage(name, parent, references, created)


def pruned(*images, built="abcdef", layers=("salt-ubiq.local/shared:",), oldest=NOW, in_use=()):
    return [each.id for each in unused(images, built, layers, oldest, in_use)]


def test_what_was_built_here_goes_once_it_has_no_name():
    assert pruned(image("a"), image("b", "", "web:latest"), image("x")) == ["a"]


@pytest.mark.parametrize("references", [("web:1",), ("web:1", "web:2"), ("web:1", LAYER)])
def test_what_has_a_name_of_anybodys_stays(references):
    assert pruned(image("a", "", *references)) == []


def test_a_shared_layer_goes_wherever_it_was_built():
    assert pruned(image("x", "", LAYER), image("a", "", LAYER)) == ["x", "a"]


def test_each_kind_goes_only_where_it_is_asked_for():
    images = image("a"), image("x", "", LAYER)
    assert pruned(*images, layers=()) == ["a"]
    assert pruned(*images, built=()) == ["x"]


def test_a_checkpoint_goes_only_where_checkpoints_are_asked_for():
    images = image("x", "", "salt-ubiq.local/checkpoint:1"), image("y", "", LAYER)
    assert pruned(*images, layers=("salt-ubiq.local/checkpoint:",)) == ["x"]
    assert pruned(*images) == ["y"]


def test_another_build_of_our_own_with_a_private_name_is_no_layer():
    assert pruned(image("x", "", "salt-ubiq.local/build:0"), image("y", "", "a/shared:1")) == []


def test_what_was_made_later_stays():
    images = image("a", created=NOW - 10), image("b", created=NOW - 2), image("c", created=NOW - 5)
    assert pruned(*images, oldest=NOW - 5) == ["a", "c"]


def test_what_a_container_has_stays_and_what_that_is_built_on():
    images = image("a"), image("b", "a"), image("c")
    assert pruned(*images, in_use={"b"}) == ["c"]
    assert pruned(*images, in_use={"a"}) == ["b", "c"]


@pytest.mark.parametrize("users", [image("x", "a", "mine:latest"), image("x", "a")])
def test_what_a_user_has_built_on_stays_whether_that_has_a_name_or_not(users):
    assert pruned(image("a"), users, image("b", "a")) == ["b"]


def test_what_is_built_on_another_goes_before_it():
    assert pruned(image("a"), image("b", "a"), image("c", "b")) == ["c", "b", "a"]


def test_all_below_something_that_stays_stays():
    images = image("a"), image("b", "a"), image("c", "b", "web:latest"), image("d", "a")
    assert pruned(*images) == ["d"]


def test_an_old_image_keeps_its_layer_until_it_goes_too():
    images = image("x", "", LAYER), image("a", "x"), image("y", "x", LAYER)
    assert pruned(*images) == ["a", "y", "x"]
    assert pruned(*images, built=()) == ["y"]


def test_a_younger_image_keeps_what_it_is_built_on():
    assert pruned(image("a"), image("b", "a", created=NOW + 1)) == []

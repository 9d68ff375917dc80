"""What is built on which image where services share layers, with builds in which nothing runs."""

from __future__ import annotations

import logging

import pytest

from salt_ubiq.builds.layers import SHARED
from salt_ubiq.catalogue.models import Service
from salt_ubiq.errors import StatesFailed
from salt_ubiq.recipes.store import Recipes
from tests.support.layered_builds import PARENT, Build, World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def service(*mods, name="web", **more):
    return Service(name=name, path="", repository=f"u/{name}", base="debian", mods=mods, **more)


def shared(world):
    """The shared layers there are, by what is applied in them."""
    return {
        tuple(dict.fromkeys(image.config["States"])): image
        for name, image in world.engine.known.items()
        if name.startswith(f"{SHARED}:")
    }


A, B = service("begin", "a", name="a"), service("begin", "b", name="b")
BEGIN, NEXT = ("begin",), ("begin", "next")


def test_without_a_beginning_nothing_is_shared(world):
    assert world.build(A).config["On"] == PARENT.id
    assert world.built == [(("begin", "a"), PARENT.id)]
    assert shared(world) == {}


def test_a_beginning_is_built_once_and_both_go_on_from_it(world):
    first, second = world.build(A, BEGIN), world.build(B, BEGIN)
    layer = shared(world)[BEGIN]
    assert layer.config["On"] == PARENT.id
    assert first.config["On"] == second.config["On"] == layer.id
    assert [mods for mods, _ in world.built] == [BEGIN, A.mods, B.mods]
    assert world.log == ["the layer of begin, which several services share:"]


def test_a_layer_has_no_more_of_a_service_than_its_beginning_and_says_what_it_is(world):
    world.build(service("begin", "a", config={"cmd": "serve"}), BEGIN)
    assert world.labels[BEGIN] == {"org.salt-ubiq.image": "begin on debian"}
    of_b = Build(world, service("begin", name="x"), None, None)
    assert shared(world)[BEGIN].recipe == of_b.recipe_of(of_b.compiled()).digest


def test_layers_lie_on_each_other(world):
    world.build(service("begin", "next", "a"), BEGIN, NEXT)
    layers = shared(world)
    assert layers[NEXT].config["On"] == layers[BEGIN].id
    assert world.built[-1] == (("begin", "next", "a"), layers[NEXT].id)


def test_what_all_of_is_in_a_layer_is_made_of_that_without_running_anything(world):
    world.build(A, BEGIN)
    built = world.build(service("begin", name="c"), BEGIN)
    assert world.built[-1] == (BEGIN, f"adopts {shared(world)[BEGIN].id}")
    assert built.config["States"] == ["begin"]


def test_a_layer_that_is_not_what_was_wanted_is_not_taken_for_the_whole(world):
    """As one becomes whose files change between compiling and applying its states."""
    world.wrong_recipe = True
    world.build(service("begin", name="c"), BEGIN)
    assert world.built == [(BEGIN, PARENT.id), (BEGIN, shared(world)[BEGIN].id)]


@pytest.mark.parametrize("whole", [("begin", "a-watching-begin"), ("a", "begin")])
def test_what_is_no_beginning_of_the_whole_is_not_shared(world, whole):
    assert world.build(service(*whole), BEGIN).config["On"] == PARENT.id
    assert shared(world) == {}


def test_states_that_fail_on_a_layer_are_applied_without_it(world, caplog):
    world.fails["a"] = "on a layer"
    assert world.build(A, BEGIN).config["On"] == PARENT.id
    assert world.built[1:] == [(A.mods, shared(world)[BEGIN].id), (A.mods, PARENT.id)]
    assert world.log[-1] == "failed on a layer of its first states; once more without:"
    assert "a: its states fail on a layer of the first of them, and work without" in caplog.text
    assert world.build(B, BEGIN).config["On"] == shared(world)[BEGIN].id


def test_states_that_fail_with_a_layer_and_without_have_failed(world):
    world.fails["a"] = "always"
    with pytest.raises(StatesFailed, match="a failed"):
        world.build(A, BEGIN)
    assert world.log.count("failed on a layer of its first states; once more without:") == 1
    assert world.built[-1] == (A.mods, PARENT.id)


@pytest.mark.parametrize("at", ["always", "on a layer"])
def test_what_fails_on_any_image_is_not_tried_again_without_a_layer(world, at):
    world.fails["a"] = at
    world.says["a"] = "E: Unable to locate package gone"
    with pytest.raises(StatesFailed, match="a failed"):
        world.build(A, BEGIN)
    assert world.built == [(BEGIN, PARENT.id), (A.mods, shared(world)[BEGIN].id)]


def test_what_a_layer_asked_for_is_of_its_recipe(world):
    world.asked["begin"] = ["salt://map.yaml"]
    world.build(A, BEGIN)
    first = shared(world)[BEGIN]
    world.build(B, BEGIN)
    assert [mods for mods, _ in world.built] == [BEGIN, A.mods, B.mods]

    world.tree["salt://map.yaml"] = "appeared"
    world.build(A, BEGIN)
    assert [mods for mods, _ in world.built][3:] == [BEGIN, A.mods]
    assert shared(world)[BEGIN].id != first.id
    world.build(service("begin", name="c"), BEGIN)
    assert world.built[-1] == (BEGIN, f"adopts {shared(world)[BEGIN].id}")


def test_a_beginning_that_fails_is_no_layer(world):
    world.fails["begin"] = "always"
    with pytest.raises(StatesFailed, match="begin failed"):
        world.build(A, BEGIN)
    assert shared(world) == {}
    assert world.built == [(BEGIN, PARENT.id)]


def test_a_state_that_works_twice_undoes_the_sharing_for_good(world, caplog):
    caplog.set_level(logging.INFO)
    world.works_again["begin"] = 9
    assert world.build(A, BEGIN).config["States"] == ["begin", "a"]
    assert "a: built from its parent on: begin: file.managed begin is not idempotent" in caplog.text
    assert world.build(B, BEGIN).config["States"] == ["begin", "b"]
    assert world.build(A, BEGIN).config["On"] == PARENT.id
    assert [mods for mods, _ in world.built] == [BEGIN, A.mods, A.mods, B.mods, A.mods]


def test_a_state_that_works_twice_undoes_the_sharing_whatever_it_asks_for(world):
    world.works_again["begin"], world.asked["begin"] = 9, ["salt://map.yaml"]
    world.build(A, BEGIN)
    world.build(A, BEGIN)
    assert [mods for mods, _ in world.built] == [BEGIN, A.mods, A.mods, A.mods]


def test_a_state_that_works_just_twice_is_noticed_below_the_next_layer(world):
    world.works_again["begin"] = 2
    for name in ("a", "b"):
        built = world.build(service("begin", "next", name, name=name), BEGIN, NEXT)
        assert built.config["States"].count("begin") == 1


def test_a_layer_from_before_a_time_is_built_anew(world):
    world.build(A, BEGIN)
    made = shared(world)[BEGIN].made_at
    world.build(B, BEGIN, since=made)
    assert [mods for mods, _ in world.built].count(BEGIN) == 1
    world.build(B, BEGIN, since=made + 1)
    assert [mods for mods, _ in world.built].count(BEGIN) == 2


def test_a_layer_counts_as_built_here(world):
    world.build(A, BEGIN)
    assert Recipes(world.workspace).images == {shared(world)[BEGIN].id}

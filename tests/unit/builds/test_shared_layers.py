"""What is built on which image where services share layers, with builds in which nothing runs."""

from __future__ import annotations

import json
import logging

import pytest

from salt_ubiq.builds.service import Built
from salt_ubiq.builds.shared_layers import REPOSITORY, SharedLayers
from salt_ubiq.catalogue.models import Service
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import ASKED, RECIPE
from salt_ubiq.errors import StatesFailed
from salt_ubiq.recipes import recipe
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.redact import Redactor
from salt_ubiq.results import States
from salt_ubiq.workspace.slots import Workspace

PARENT = ImageInfo("sha256:parent", {}, 1)
CREATED = "2026-01-02T03:04:05.6Z"


def state(mod):
    """The only state of an SLS; one of the name ``x-watching-y`` reacts to that of ``y``."""
    chunk = {"__id__": mod, "__sls__": mod, "state": "file", "fun": "managed", "name": mod}
    watched = mod.partition("-watching-")[2]
    return {**chunk, "watch": [{"file": watched}]} if watched else chunk


class Engine:
    """Images by their references and IDs."""

    def __init__(self):
        self.images = self
        self.known = {PARENT.id: PARENT}

    def find(self, reference):
        return self.known.get(reference)

    def existing(self, reference):
        return self.known[reference]

    def tag(self, image_id, references):
        for reference in references:
            self.known[reference] = self.known[image_id]


class World:
    """
    Builds, and what came of them.

    fails
        the names of states, and whether they fail on a layer, or on the parent too

    says
        by the name of a state: what it says when it fails

    works_again
        by the name of a state: how many times it has changed something before it does so no more

    asked
        by the name of a state: what it asks for of the state tree while it runs

    tree
        what there is of that: hashes

    built
        what was built, in order: its mods and the ID of the image below it
    """

    def __init__(self, tmp_path):
        self.engine = Engine()
        self.fails = {}
        self.says = {}
        self.works_again = {}
        self.built = []
        self.labels = {}
        self.log = []
        self.workspace = Workspace(str(tmp_path))
        self.wrong_recipe = False
        self.tree = {}
        self.asked = {}

    def layers(self, slot, since=None):
        session = BuildSession(
            engine=self.engine, workspace=self.workspace, slot=slot, opts={}, clean=Redactor(),
            log_path="", log_line=self.log.append,
        )  # fmt: skip
        return SharedLayers(
            session, lambda service, labels=None: Build(self, service, slot, labels), since
        )

    def build(self, service, *beginnings, since=None):
        """As :class:`~salt_ubiq.builds.builder.Builder` does it; returns the image."""
        with self.workspace.slot() as slot:
            layers = self.layers(slot, since)
            on = layers.foundation(service, beginnings, PARENT)
            layers.run(Build(self, service, slot, None), on, PARENT)
            return self.engine.existing(slot.reference)


class Build:
    def __init__(self, world, service, slot, labels):
        self.name = service.name
        self._world = world
        self._service = service
        self._slot = slot
        if labels:
            world.labels[service.mods] = labels

    def compiled(self):
        return CompiledStates([state(mod) for mod in self._service.mods], {}, {})

    def recipe_of(self, compiled, asked=()):
        files = {name: self._world.tree.get(name, "") for name in asked}
        return recipe.of_service(self._service, PARENT.id, compiled, files, str)

    def run(self, on):
        world, mods = self._world, self._service.mods
        world.built.append((mods, on.id))
        done = [] if on is PARENT else on.config["States"]
        failing = [
            mod for mod in mods if world.fails.get(mod) in ("always", "on a layer" if done else "")
        ]
        if failing:
            comment = world.says.get(failing[0], "it failed")
            raise StatesFailed(f"{failing[0]} failed", [{"id": failing[0], "comment": comment}])
        changed = [mod for mod in mods if mod not in done or self._works(mod, done.count(mod))]
        asked = [name for mod in mods for name in world.asked.get(mod, ())]
        made = self.recipe_of(self.compiled(), asked)
        self._make(made, [*done, *changed], on, asked)
        names = [name for name in made.states if name.rpartition(" ")[2] in changed]
        return Built(States(total=len(mods), changed=len(changed)), tuple(names), made)

    def _works(self, mod, times):
        return times < self._world.works_again.get(mod, 1)

    def adopt(self, image, compiled):
        self._world.built.append((self._service.mods, f"adopts {image.id}"))
        made = self.recipe_of(compiled, image.asked)
        self._make(made, image.config["States"], image, sorted(image.asked))
        return Built(States(total=len(made.states)), (), made)

    def _make(self, made, states, on, asked):
        digest = "other" if self._world.wrong_recipe else made.digest
        labels = {RECIPE: digest, ASKED: json.dumps(asked)}
        config = {"Labels": labels, "States": states, "On": on.id}
        new = ImageInfo(f"sha256:{len(self._world.engine.known)}", config, 1, CREATED)
        self._world.engine.known[new.id] = new
        self._world.engine.known[self._slot.reference] = new


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
        if name.startswith(f"{REPOSITORY}:")
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
    assert world.log == ["the layer of begin:"]


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
    assert world.log[-1] == "failed on a shared layer; once more without:"
    assert "a: its states fail on a shared layer, and work without" in caplog.text
    assert world.build(B, BEGIN).config["On"] == shared(world)[BEGIN].id


def test_states_that_fail_with_a_layer_and_without_have_failed(world):
    world.fails["a"] = "always"
    with pytest.raises(StatesFailed, match="a failed"):
        world.build(A, BEGIN)
    assert world.log.count("failed on a shared layer; once more without:") == 1
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
    assert (
        "a: built without a shared layer: begin: file.managed begin is not idempotent"
        in caplog.text
    )
    assert world.build(B, BEGIN).config["States"] == ["begin", "b"]
    assert world.build(A, BEGIN).config["On"] == PARENT.id
    assert [mods for mods, _ in world.built] == [BEGIN, A.mods, A.mods, B.mods, A.mods]


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

"""Builds in which nothing runs: what would be built on which image."""

from __future__ import annotations

import json

from salt_ubiq.builds.checkpoints import Checkpoints
from salt_ubiq.builds.layers import Foundation, Layers
from salt_ubiq.builds.service import Attempt, Built
from salt_ubiq.builds.shared_layers import foundation
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import ASKED, RECIPE
from salt_ubiq.errors import StatesFailed
from salt_ubiq.recipes import beginning, recipe
from salt_ubiq.recipes.compiled_states import CompiledStates
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

    def remove(self, reference):
        self.known.pop(reference, None)

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

    written
        by the name of a state: what its declaration has beyond that

    seconds
        by the name of a state: how long it takes

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
        self.written = {}
        self.seconds = {}

    def layers(self, slot, since=None):
        session = BuildSession(
            engine=self.engine, workspace=self.workspace, slot=slot, opts={}, clean=Redactor(),
            log_path="", log_line=self.log.append,
        )  # fmt: skip
        return Layers(session, PARENT, since)

    def build(self, service, *beginnings, since=None):
        """As :class:`~salt_ubiq.builds.builder.Builder` does it; returns the image."""
        with self.workspace.slot() as slot:
            layers = self.layers(slot, since)

            def build(service, labels=None):
                return Build(self, service, slot, labels)

            on = foundation(service, beginnings, build(service).compiled(), layers, build)
            layers.run(build(service), on)
            return self.engine.existing(slot.reference)

    def build_again(self, service):
        """As that does it for a service with checkpoints that shares nothing."""
        with self.workspace.slot() as slot:
            layers = self.layers(slot)
            checkpoints = Checkpoints(layers, service.name)
            build, on = Build(self, service, slot, None), Foundation(PARENT)
            if checkpoints.know(PARENT):
                on = checkpoints.provided(build, build.compiled(), on)
            try:
                layers.run(build, on, checkpoints.retries(on))
            finally:
                checkpoints.learn(build.attempt, on)
            return self.engine.existing(slot.reference)


class Build:
    def __init__(self, world, service, slot, labels):
        self.name = service.name
        self._world = world
        self._service = service
        self._slot = slot
        self._first = None
        self.attempt = Attempt()
        if labels:
            world.labels[service.mods] = labels

    def beginning(self, count, labels):
        made = Build(self._world, self._service, self._slot, labels)
        made._first = count
        return made

    def compiled(self):
        chunks = [{**state(mod), **self._world.written.get(mod, {})} for mod in self._service.mods]
        return CompiledStates(chunks, {}, {})

    def recipe_of(self, compiled, asked=()):
        files = {name: self._world.tree.get(name, "") for name in asked}
        made = recipe.of_service(self._service, PARENT.id, compiled, files, str)
        if self._first is None:
            return made
        return beginning.recipe_of_first(made, compiled, own_modules=False)

    def run(self, on, holds=None):
        world, mods = self._world, self._service.mods[: self._first]
        world.built.append((mods, on.id))
        done = [] if on is PARENT else on.config["States"]
        failing = [
            mod for mod in mods if world.fails.get(mod) in ("always", "on a layer" if done else "")
        ]
        compiled = beginning.first(self.compiled(), len(mods))
        seconds = tuple(0.0 if mod in done else world.seconds.get(mod, 0.0) for mod in mods)
        if failing:
            self.attempt = Attempt(self.recipe_of(compiled), seconds, mods.index(failing[0]))
            comment = world.says.get(failing[0], "it failed")
            raise StatesFailed(f"{failing[0]} failed", [{"id": failing[0], "comment": comment}])
        changed = [mod for mod in mods if mod not in done or self._works(mod, done.count(mod))]
        asked = [name for mod in mods for name in world.asked.get(mod, ())]
        made = self.recipe_of(compiled, asked)
        self.attempt = Attempt(made, seconds)
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

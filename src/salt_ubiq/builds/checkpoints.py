"""
Checkpoints: images of the first states of one service, from which builds go on after an edit.

Where to make one is learnt. What a build did, and how long each state took, is kept; where states
of the next one differ from number k on, and what comes before them took long, that one makes a
checkpoint before k.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from pydantic import BaseModel, ConfigDict

from salt_ubiq.builds.layers import CHECKPOINTS, Beginning, Foundation, Layers
from salt_ubiq.builds.service import Attempt, ServiceBuild
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import StatesFailed
from salt_ubiq.recipes import beginning
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.workspace.files import file_name, private_directory, read, write

log = logging.getLogger(__name__)

_WORTH = 3.0
"""Seconds of states that a checkpoint has to save."""
_KEPT = 3
"""How many checkpoints an image has at most."""


class _Memory(BaseModel):
    """
    What is known of the builds of a service.

    recipe
        of the latest, failed or not; ``None`` where there was none

    seconds
        how long a state took at most, by its name

    failed_at
        how many states there were before the first that failed

    repeating
        the hashes of states that have done something a second time, by their names

    checkpoints
        how many states its checkpoints have, by reference, the latest used last

    failing
        checkpoints on which states failed as they did on the parent
    """

    model_config = ConfigDict(extra="forbid")

    recipe: Recipe | None = None
    seconds: dict[str, float] = {}
    failed_at: int | None = None
    repeating: dict[str, str] = {}
    checkpoints: dict[str, int] = {}
    failing: set[str] = set()


class Checkpoints:
    """The checkpoints of one service, for a build at a session."""

    most = _KEPT + 1
    """How many images may lie on each other, the service's included."""

    def __init__(self, layers: Layers, name: str) -> None:
        self._layers = layers
        self._name = name
        kept_in = private_directory(layers.session.workspace.path / "checkpoints")
        self._path = kept_in / file_name(name)
        self._memory = _parsed(read(self._path))

    def know(self, parent: ImageInfo) -> bool:
        """Whether there was a build on that parent."""
        recipe = self._memory.recipe
        return recipe is not None and parent.id in recipe.parent.values()

    def found(self, build: ServiceBuild, whole: CompiledStates, on: Foundation) -> Foundation:
        """
        Return the checkpoint with the most states that a build can go on from, or ``on``.

        build, whole
            of the service, and its states
        """
        by_count = sorted(self._memory.checkpoints.items(), key=lambda item: -item[1])
        for reference, count in by_count:
            if on.count < count <= len(whole.chunks):
                wanted = self._beginning(build, whole, count)
                if not self._layers.is_undone(wanted) and beginning.begins(wanted.states, whole):
                    image = self._layers.find(wanted, reference)
                    if image:
                        return wanted.on(image, whole)
        return on

    def provided(self, build: ServiceBuild, whole: CompiledStates, on: Foundation) -> Foundation:
        """Return the checkpoint to go on from; one is made where that is worth it."""
        found = self.found(build, whole, on)
        old = self._memory.recipe
        asked = [url for url in old.files if url not in whole.files] if old else []
        new = build.recipe_of(whole, asked)
        end, names = self._end(whole, new), [*new.states]
        saved = sum(self._memory.seconds.get(name, 0) for name in names[found.count : end])
        if end > found.count and saved >= _WORTH:
            wanted = self._beginning(build, whole, end)
            if not self._layers.is_undone(wanted):
                found = self._made(wanted, whole, found)
        return found

    def retries(self, on: Foundation) -> bool:
        """Whether states that fail on a checkpoint are to be tried on the parent."""
        return on.reference not in self._memory.failing

    def learn(self, attempt: Attempt, on: Foundation) -> None:
        """Keep what a build did, and of the checkpoints those that are used."""
        memory = self._memory
        if attempt.recipe:
            took = dict(zip(attempt.recipe.states, attempt.seconds, strict=True))
            memory.seconds = {
                name: max(seconds, memory.seconds.get(name, 0)) for name, seconds in took.items()
            }
            memory.recipe = attempt.recipe
            hashes = attempt.recipe.states
            memory.repeating |= {name: hashes[name] for name in self._layers.repeating}
        memory.failed_at = attempt.failed_at
        if self._layers.failed_without:
            memory.failing.add(on.reference)
        elif attempt.failed_at is None:
            memory.failing.clear()
        self._keep(on.reference)
        write(self._path, memory.model_dump_json())

    def _keep(self, used: str) -> None:
        known = self._memory.checkpoints
        if used in known:
            known[used] = known.pop(used)
        for reference in [*known][:-_KEPT]:
            del known[reference]
            self._layers.session.engine.images.remove(reference)

    def _made(self, wanted: Beginning, whole: CompiledStates, on: Foundation) -> Foundation:
        try:
            image = self._layers.provide(wanted, on)
        except StatesFailed as exc:
            # They may need what comes later; whether that is so, the build of the whole tells.
            log.info("%s: no checkpoint: %s", self._name, str(exc).partition("\n")[0])
            return on
        self._memory.checkpoints[wanted.reference] = len(wanted.states.chunks)
        return wanted.on(image, whole)

    def _beginning(self, build: ServiceBuild, whole: CompiledStates, count: int) -> Beginning:
        title = f"{self._name}: a checkpoint of the first {count} of {len(whole.chunks)} states"
        label = {f"{LABEL}.image": f"{self._name}: its first {count} states"}
        states = beginning.first(whole, count)
        return Beginning(build.beginning(count, label), states, title, CHECKPOINTS)

    def _end(self, whole: CompiledStates, new: Recipe) -> int:
        """How many states the checkpoint has that serves the next edit of the same place best."""
        old = self._memory.recipe
        if old is None:
            return 0
        same = beginning.differs_at(whole, new, old)
        if self._memory.failed_at is not None:
            same = min(same, self._memory.failed_at)
        repeated = (
            number
            for number, (state, chunk) in enumerate(
                zip(new.states.items(), whole.chunks, strict=True)
            )
            if state in self._memory.repeating.items() or beginning.repeats(chunk)
        )
        return beginning.nearest_end(whole, min([same, *repeated]))


def _parsed(text: str | None) -> _Memory:
    with suppress(ValueError):
        return _Memory.model_validate_json(text or "{}")
    return _Memory()

"""
Images of beginnings: what has been applied once, and builds go on from with all of their states.

Nothing but time may depend on it. So a state that has worked a second time on top of a beginning
that it is in undoes that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from salt_ubiq.builds.service import Built, ServiceBuild
from salt_ubiq.builds.state_failures import is_hopeless
from salt_ubiq.catalogue.references import OUR_HOST
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import BeginningChanged, StatesFailed
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.workspace.files import private_directory, write

log = logging.getLogger(__name__)

SHARED = f"{OUR_HOST}/shared"
CHECKPOINTS = f"{OUR_HOST}/checkpoint"
_DIGITS = 32


@dataclass(frozen=True)
class Foundation:
    """
    What a service is built on: an image, and the states that are applied to it already.

    reference
        the image's, empty for the parent's

    compiled
        all states of the service, where these are all that there are
    """

    image: ImageInfo
    reference: str = ""
    part: CompiledStates | None = None
    recipe: Recipe | None = None
    compiled: CompiledStates | None = None

    @property
    def count(self) -> int:
        """How many states are applied to it."""
        return len(self.part.chunks) if self.part else 0


@dataclass(frozen=True)
class Beginning:
    """
    A beginning that is wanted.

    build
        of its image

    states
        all that there are in it

    title
        what people are told of it

    repository
        of its image
    """

    build: ServiceBuild
    states: CompiledStates
    title: str
    repository: str

    @cached_property
    def recipe(self) -> Recipe:
        """What it is to be made of; what its states will ask for is not known before."""
        return self.build.recipe_of(self.states)

    @property
    def reference(self) -> str:
        """The name of its image."""
        return f"{self.repository}:{self.recipe.digest[:_DIGITS]}"

    def is_made_of(self, image: ImageInfo) -> bool:
        """Whether an image is this one; what its states have asked for, it says itself."""
        return image.recipe == self.build.recipe_of(self.states, image.asked).digest

    def on(self, image: ImageInfo, whole: CompiledStates) -> Foundation:
        """What its image is for a service whose states are those."""
        # A file that changed meanwhile makes another image than was wanted.
        is_whole = len(self.states.chunks) == len(whole.chunks) and self.is_made_of(image)
        compiled = whole if is_whole else None
        return Foundation(image, self.reference, self.states, self.recipe, compiled)


class Layers:
    """
    The images of beginnings on one engine, for a build at a session.

    newer_than
        when: use none that was made before then

    What builds on them show, it keeps: the names of states that are ``repeating``, and whether
    some ``failed_without``, too.
    """

    def __init__(
        self, session: BuildSession, parent: ImageInfo, newer_than: float | None = None
    ) -> None:
        self.session = session
        self.parent = parent
        self._newer_than = int(newer_than or 0)
        self.repeating: set[str] = set()
        self.failed_without = False

    def find(self, wanted: Beginning, reference: str | None = None) -> ImageInfo | None:
        """The image of a beginning, if it is there and is to be used."""
        found = self.session.engine.images.find(reference or wanted.reference)
        if found is None or found.made_at < self._newer_than or not wanted.is_made_of(found):
            return None
        return found

    def provide(self, wanted: Beginning, on: Foundation) -> ImageInfo:
        """
        Find the image of a beginning, or build it on what it begins with itself.

        Raises :class:`~salt_ubiq.errors.BuildError` where it can't be built.
        """
        engine, reference = self.session.engine, wanted.reference
        name = reference.rpartition(":")[2]
        with self.session.workspace.lock(f"shared-{name}", f"{wanted.title}: another builds it"):
            found = self.find(wanted, reference)
            if found is None:
                log.info("%s: building", wanted.title)
                self.session.log_line(f"{wanted.title}:")
                built = self.run(wanted.build, on)
                found = engine.images.existing(self.session.slot.reference)
                Recipes(self.session.workspace).save(built.recipe, found.id)
                engine.images.tag(found.id, [reference])
        return found

    def run(self, build: ServiceBuild, on: Foundation, retry: bool = True) -> Built:
        """
        Build on a foundation, or on the parent: where states fail on the foundation; and
        never again on it, if a state that is applied there already does something a second
        time.

        retry
            whether states that fail on the foundation may not fail on the parent

        Raises :class:`~salt_ubiq.errors.BuildError`.
        """
        if on.compiled:
            return build.adopt(on.image, on.compiled)
        if on.recipe is None:
            return build.run(on.image)
        try:
            built = build.run(on.image, on.part)
        except BeginningChanged:
            return build.run(self.parent)
        except StatesFailed as exc:
            if not retry or all(is_hopeless(failed) for failed in exc.failed):
                raise
            return self._run_without(build, on)
        again = [state for state in on.recipe.states if state in built.changed]
        if not again:
            return built
        log.info("%s: built from its parent on: %s is not idempotent", build.name, again[0])
        self.repeating.update(again)
        self._undo(on.recipe)
        return build.run(self.parent)

    def _run_without(self, build: ServiceBuild, on: Foundation) -> Built:
        """States may need what no layer has, such as a daemon that an earlier state starts."""
        self.session.log_line("failed on a layer of its first states; once more without:")
        try:
            built = build.run(self.parent)
        except StatesFailed:
            self.failed_without = True
            raise
        key = "share"
        if on.recipe and on.reference.startswith(CHECKPOINTS):  # nobody else goes on from there
            key = "checkpoints"
            self._undo(on.recipe)
        log.warning(
            "%s: its states fail on a layer of the first of them, and work without: %s: false "
            "saves time",
            build.name,
            key,
        )
        return built

    def _undo(self, recipe: Recipe) -> None:
        write(private_directory(self._undone) / recipe.digest, "")

    def is_undone(self, wanted: Beginning) -> bool:
        """Whether a beginning has shown that it is none to go on from."""
        return (self._undone / wanted.recipe.digest).exists()

    @property
    def _undone(self) -> Path:
        return self.session.workspace.path / "unshared"

"""
Shared layers: the states with which several services on a parent begin are applied
once, in an image from which each service goes on with all of its states.

Nothing but time may depend on it. So a beginning is shared only if its states are
the same, and run before all others, in the whole too; and a state that has worked a
second time on top of its own layer undoes the sharing.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt_ubiq.builds.service import Built, ServiceBuild
from salt_ubiq.builds.state_failures import is_hopeless
from salt_ubiq.catalogue.models import ImageConfig, Service
from salt_ubiq.catalogue.references import OUR_HOST
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import StatesFailed
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe, state_hashes
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.workspace.files import private_directory, write

log = logging.getLogger(__name__)

REPOSITORY = f"{OUR_HOST}/shared"
# Requisites by which a state does something because another has; "listen" waits for
# the end of the whole.
_REACTIVE = ("onchanges", "watch", "onfail", "prereq", "listen")
_DIGITS = 32


@dataclass(frozen=True)
class Foundation:
    """
    What a service is built on: an image, and the states that are applied to it already.

    compiled
        all states of the service, where these are all that there are
    """

    image: ImageInfo
    states: frozenset[str] = frozenset()
    recipe: Recipe | None = None
    compiled: CompiledStates | None = None


class SharedLayers:
    """
    The shared layers on one engine, for a build at a session.

    service_build
        makes the build of a service with those labels

    newer_than
        when: use no layer that was made before then
    """

    def __init__(
        self,
        session: BuildSession,
        service_build: Callable[..., ServiceBuild],
        newer_than: float | None = None,
    ) -> None:
        self._session = session
        self._service_build = service_build
        self._newer_than = int(newer_than or 0)

    def foundation(
        self, service: Service, beginnings: Iterable[tuple[str, ...]], parent: ImageInfo
    ) -> Foundation:
        """
        Find or build what ``service`` shares with others.

        beginnings
            of its mods, the shortest first

        Raises :class:`~salt_ubiq.errors.BuildError` where a layer can't be built.
        """
        found = Foundation(parent)
        beginnings = list(beginnings)
        whole = self._service_build(service).compiled() if beginnings else None
        for mods in beginnings:
            label = {f"{LABEL}.image": service.layer(mods)}
            build = self._service_build(_layer(service, mods), labels=label)
            part = build.compiled()
            recipe = build.recipe_of(part)
            if whole is None or not begins(part, whole) or self._is_undone(recipe):
                break
            image = self._provide(build, part, found, parent)
            # A file that changed meanwhile makes another layer than was wanted.
            is_whole = mods == service.mods and self._is_made_of(image, build, part)
            compiled = whole if is_whole else None
            found = Foundation(image, frozenset(recipe.states), recipe, compiled)
        return found

    def run(self, build: ServiceBuild, on: Foundation, parent: ImageInfo) -> Built:
        """
        Build on a foundation, or on the parent: where states fail on the foundation; and
        never again on it, if a state that is applied there already does something a second
        time.

        Raises :class:`~salt_ubiq.errors.BuildError`.
        """
        if on.compiled:
            return build.adopt(on.image, on.compiled)
        if on.recipe is None:
            return build.run(on.image)
        try:
            built = build.run(on.image)
        except StatesFailed as exc:
            if all(is_hopeless(failed) for failed in exc.failed):
                raise
            return self._run_without(build, parent)
        again = sorted(on.states.intersection(built.changed))
        if not again:
            return built
        log.info("%s: built without a shared layer: %s is not idempotent", build.name, again[0])
        self._undo(on.recipe)
        return build.run(parent)

    def _run_without(self, build: ServiceBuild, parent: ImageInfo) -> Built:
        """States may need what no layer has, such as a daemon that an earlier state starts."""
        self._session.log_line("failed on a shared layer; once more without:")
        built = build.run(parent)
        log.warning(
            "%s: its states fail on a shared layer, and work without: share: false saves time",
            build.name,
        )
        return built

    def _undo(self, recipe: Recipe) -> None:
        write(private_directory(self._undone) / recipe.digest, "")

    def _is_undone(self, recipe: Recipe) -> bool:
        return (self._undone / recipe.digest).exists()

    @property
    def _undone(self) -> Path:
        return self._session.workspace.path / "unshared"

    @staticmethod
    def _is_made_of(image: ImageInfo, build: ServiceBuild, states: CompiledStates) -> bool:
        return image.recipe == build.recipe_of(states, image.asked).digest

    def _provide(
        self, build: ServiceBuild, states: CompiledStates, on: Foundation, parent: ImageInfo
    ) -> ImageInfo:
        # What its states will ask for is not known before: the layer itself says it.
        recipe = build.recipe_of(states)
        engine, reference = self._session.engine, f"{REPOSITORY}:{recipe.digest[:_DIGITS]}"
        title = f"the layer of {', '.join(recipe.mods)}"
        with self._session.workspace.lock(f"shared-{recipe.digest}", f"{title}: another builds it"):
            found = engine.images.find(reference)
            if (
                found is None
                or found.made_at < self._newer_than
                or not self._is_made_of(found, build, states)
            ):
                log.info("%s, which several services share: building", title)
                self._session.log_line(f"{title}:")
                built = self.run(build, on, parent)
                found = engine.images.existing(self._session.slot.reference)
                Recipes(self._session.workspace).save(built.recipe, found.id)
                engine.images.tag(found.id, [reference])
        return found


def _layer(service: Service, mods: tuple[str, ...]) -> Service:
    """The service that has just these mods, and nothing that other services have not."""
    return service.model_copy(update={"mods": mods, "config": ImageConfig()})


def begins(part: CompiledStates, whole: CompiledStates) -> bool:
    """Say whether ``whole`` does first what ``part`` does, and nothing in it reacts to that."""
    if part.errors or whole.errors:
        return False
    states = [*state_hashes(part, str).items()]
    if [*state_hashes(whole, str).items()][: len(states)] != states:
        return False
    known = {str(chunk[key]) for chunk in part.chunks for key in ("__id__", "name", "__sls__")}
    later = whole.chunks[len(part.chunks) :]
    patterns = {pattern for chunk in later for pattern in _reacted_to(chunk)}
    reacts = any(fnmatch.filter(known, pattern) for pattern in patterns)
    return not reacts and not any(chunk.get("listen") for chunk in part.chunks)


def _reacted_to(chunk: Mapping[str, Any]) -> Iterable[str]:
    for key, requisites in chunk.items():
        if key.startswith(_REACTIVE) and isinstance(requisites, list):
            for requisite in requisites:
                found = requisite.values() if isinstance(requisite, Mapping) else [requisite]
                yield from map(str, found)

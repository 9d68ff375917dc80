"""
Shared layers: the states with which several services on a parent begin are applied once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from salt_ubiq.builds.layers import SHARED, Beginning, Foundation, Layers
from salt_ubiq.builds.service import ServiceBuild
from salt_ubiq.catalogue.models import ImageConfig, Service
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.recipes.beginning import begins
from salt_ubiq.recipes.compiled_states import CompiledStates


def foundation(
    service: Service,
    beginnings: Iterable[tuple[str, ...]],
    whole: CompiledStates,
    layers: Layers,
    service_build: Callable[..., ServiceBuild],
) -> Foundation:
    """
    Find or build what ``service`` shares with others.

    beginnings
        of its mods, the shortest first

    whole
        its states

    service_build
        makes the build of a service with those labels

    Raises :class:`~salt_ubiq.errors.BuildError` where a layer can't be built.
    """
    found = Foundation(layers.parent)
    for mods in beginnings:
        label = {f"{LABEL}.image": service.layer(mods)}
        build = service_build(_layer(service, mods), labels=label)
        title = f"the layer of {', '.join(mods)}, which several services share"
        wanted = Beginning(build, build.compiled(), title, SHARED)
        if not begins(wanted.states, whole) or layers.is_undone(wanted):
            break
        found = wanted.on(layers.provide(wanted, found), whole)
    return found


def _layer(service: Service, mods: tuple[str, ...]) -> Service:
    """The service that has just these mods, and nothing that other services have not."""
    return service.model_copy(update={"mods": mods, "config": ImageConfig()})

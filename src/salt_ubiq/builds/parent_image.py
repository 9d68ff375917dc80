"""
What of a service's parent keeps it from being built on, or will not be as somebody may expect.
"""

from __future__ import annotations

from collections.abc import Callable

from salt_ubiq.catalogue.models import Service
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import BuildError


def room(service: Service, parent: ImageInfo, engine: Engine) -> int:
    """
    How many layers an image may have on top of its parent.

    Raises :class:`~salt_ubiq.errors.BuildError` where that is none.
    """
    most = engine.most_layers
    if parent.layers >= most:
        raise BuildError(
            f"{service.where('base')}: {service.base} has {parent.layers} layers, and no image of "
            f"this engine can have more than {most}: take a base that has fewer (docker export "
            "and docker import make one of them all)"
        )
    return most - parent.layers


def warnings(service: Service, parent: ImageInfo, clean: Callable[[str], str]) -> tuple[str, ...]:
    """What to tell of a parent that a service can be built on."""
    triggers = parent.config.get("OnBuild") or ()
    if not triggers:
        return ()
    told = clean("; ".join(triggers))
    return (
        f"{service.name}: {service.base} has ONBUILD, which only a Dockerfile's FROM runs, so the "
        f"image lacks what comes of it: {told} (a base of the catalogue that is FROM it has that)",
    )

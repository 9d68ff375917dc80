"""
What an engine has of the images of a catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.engine.client import Engine
from salt_ubiq.runs.plan import Request, Step, steps


def status(
    images: Catalogue,
    patterns: Iterable[str],
    engine: Engine,
    reasons: Callable[[Base | Service], Iterable[str]],
) -> dict[str, dict[str, Any]]:
    """What the engine has of the images, by name, and whether it is what is declared."""
    asked = tuple(graph.select(images.edges, patterns))
    planned = {step.image.name: step for step in steps(images, Request(asked), reasons)}
    return {name: _status(planned[name], engine) for name in asked}


def _status(step: Step, engine: Engine) -> dict[str, Any]:
    image = step.image
    found = engine.images.find(image.reference)
    return {
        "image": image.reference,
        "present": found is not None,
        "fresh": not step.reasons,
        "reasons": list(step.reasons),
        "id": found.id if found else None,
        "size": found.size if found else None,
        "created": found.created if found else None,
        "parent": image.base if isinstance(image, Service) else None,
    }

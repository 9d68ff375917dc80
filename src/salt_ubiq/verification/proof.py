"""
Proving that an image is what it has to be: its checks pass, the user that it runs as is in it,
and its states, applied once more, find all in place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.containers.runtime import RuntimeVolume
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.verification import checks, user

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof:
    """What of an image is not as it has to be, and what not as it should be, in sentences."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def prove(
    image: Base | Service,
    info: ImageInfo,
    session: BuildSession,
    runtime: RuntimeVolume | None,
    unconverged: Callable[[ImageInfo], Iterable[str]] | None,
) -> Proof:
    """
    Prove an image that is on the engine, tagged or not.

    runtime
        ``None`` where Salt runs with the image's own Python

    unconverged
        of a service, says which states would do something once more; ``None`` for a base

    Raises :class:`~salt_ubiq.errors.UbiqError` where that can't be done.
    """
    if image.verify:
        log.info("%s: carrying out its checks", image.name)
    found = checks.verify(image, info, session, runtime)
    failures = tuple(session.clean(failure) for failure in found)
    nobody = tuple(
        f"{image.name}: no container of it starts with this user: {missing}"
        for missing in user.unknown(info, session)
    )
    if unconverged is None or not isinstance(image, Service) or not image.converged:
        return Proof(failures, nobody)
    repeated = tuple(
        f"{image.where('converged')}: a second time, this changes something again: {state}"
        for state in unconverged(info)
    )
    if image.converged is True:
        return Proof((*failures, *repeated), nobody)
    return Proof(failures, (*nobody, *repeated))

"""
Proving that an image is what it has to be: its checks pass, and its states, applied
once more, find all in place.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from salt_ubiq.catalogue import Base, Service
from salt_ubiq.engine import ImageInfo
from salt_ubiq.runtime import RuntimeVolume
from salt_ubiq.site import Site
from salt_ubiq.slsbuild import SlsBuild
from salt_ubiq.verify import verify

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof:
    """What of an image is not as it has to be, and what not as it should be, in sentences."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def prove(
    image: Base | Service,
    info: ImageInfo,
    build: SlsBuild | None,
    site: Site,
    runtime: RuntimeVolume | None,
) -> Proof:
    """
    Prove an image that is on the engine, tagged or not.

    build
        of a service, to apply its states with

    runtime
        ``None`` where Salt runs with the image's own Python

    Raises :class:`~salt_ubiq.errors.UbiqError` where that can't be done.
    """
    if image.verify:
        log.info("%s: carrying out its checks", image.name)
    ensured = runtime.ensure if runtime else None
    found = verify(image, info.id, site.engine, site.slot.name, ensured, site.log_line, site.clean)
    failures = tuple(site.clean(failure) for failure in found)
    if build is None or not isinstance(image, Service) or not image.converged:
        return Proof(failures)
    repeated = tuple(
        f"{image.where('converged')}: a second time, this changes something again: {state}"
        for state in build.unconverged(info)
    )
    if image.converged is True:
        return Proof((*failures, *repeated))
    return Proof(failures, repeated)

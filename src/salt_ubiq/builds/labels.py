"""
The labels of an image: what it is, what it was built from, by which run and when.

An image inherits its parent's labels, and committing can't unset one. So where
an inherited one would be said of the wrong image, it is set to an empty text.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from salt_ubiq.builds.git_checkout import Checkout
from salt_ubiq.catalogue import references
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import LABEL

OCI = "org.opencontainers.image"


@dataclass(frozen=True)
class Provenance:
    """
    How an image came to be.

    run
        the name of the run that builds it

    created
        when

    checkout
        of what it is built from, where that is one of git's
    """

    run: str
    created: datetime
    checkout: Checkout | None


def of_base(
    base: Base,
    dockerfile: str,
    parent: ImageInfo | None,
    parent_name: str,
    provenance: Provenance,
) -> dict[str, str]:
    """
    Return the labels of a base, over those of what it is FROM.

    dockerfile
        the Dockerfile's text: what it says itself of an ``org.opencontainers.image`` label
        is left to it

    parent, parent_name
        what it is FROM, ``None`` for scratch, and its reference

    provenance
        its checkout is that of the build context
    """
    values = _values(base, parent, parent_name, provenance)
    declared = {key for key in values if key.startswith(OCI) and key in dockerfile}
    return _over(parent, values, declared)


def of_service(
    service: Service,
    parent: ImageInfo,
    parent_name: str,
    provenance: Provenance,
) -> dict[str, str]:
    """
    Return the labels of a service, over those of its parent.

    parent_name
        the parent's reference

    provenance
        its checkout is that of the states

    What the catalogue says of an ``org.opencontainers.image`` label goes over ours.
    """
    values = {
        **_values(service, parent, parent_name, provenance),
        f"{LABEL}.mods": ",".join(service.mods),
        f"{LABEL}.salt-version": importlib.metadata.version("salt"),
    }
    declared = {key for key in service.config.labels if not key.startswith(f"{LABEL}.")}
    return _over(parent, values, declared)


def _values(
    image: Base | Service,
    parent: ImageInfo | None,
    parent_name: str,
    provenance: Provenance,
) -> dict[str, str | None]:
    """Whatever is said of an image, ``None`` or empty where nothing is known."""
    checkout, created = provenance.checkout, provenance.created
    return {
        f"{OCI}.created": f"{created.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        f"{OCI}.revision": checkout.revision if checkout else None,
        f"{OCI}.source": checkout.source if checkout else None,
        f"{OCI}.base.name": None if references.is_id(parent_name) else parent_name,
        f"{OCI}.base.digest": _digest(parent, parent_name) if parent else None,
        f"{OCI}.title": image.name,
        f"{OCI}.version": image.tags[0],
        f"{LABEL}.image": image.name,
        f"{LABEL}.run": provenance.run,
        f"{LABEL}.mods": None,
        f"{LABEL}.salt-version": None,
    }


def _over(
    parent: ImageInfo | None, values: Mapping[str, str | None], declared: Collection[str]
) -> dict[str, str]:
    """What of the values has to be said over what is inherited and declared."""
    inherited = parent.labels if parent else {}
    return {
        key: value or ""
        for key, value in values.items()
        if key not in declared and (value or inherited.get(key))
    }


def _digest(parent: ImageInfo, name: str) -> str:
    """The digest by which registries know the parent; its ID where it comes from none."""
    repository = references.split(name).repository
    known = [digest.partition("@")[::2] for digest in parent.digests]
    of_that_name = [digest for where, digest in known if where == repository]
    return next(iter([*of_that_name, *(digest for _, digest in known)]), parent.id)

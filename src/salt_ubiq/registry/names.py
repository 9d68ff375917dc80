"""
What images are called in registries, and where these are.
"""

from __future__ import annotations

import re

from salt_ubiq.catalogue.references import names_host

HUB = "docker.io"

_HUB_NAMES = {HUB, "index.docker.io", "registry-1.docker.io", "hub.docker.com", "hub"}
_HUB_PREFIX = re.compile(r"^(?:(?:index\.)?docker\.io/)?(?:library/)?")
_SCHEME = re.compile(r"^[a-z]+://", re.IGNORECASE)


def target_of(reference: str, prefix: str | None) -> str:
    """Return the name that ``repository:tag`` has in its registry, as the engine spells it."""
    if not prefix or names_host(reference):
        return reference
    return _HUB_PREFIX.sub("", f"{_SCHEME.sub('', prefix).strip('/')}/{reference}")


def host_of(reference: str) -> str:
    """Return the host, and port, of an image's registry."""
    return host_in(reference) if names_host(reference) else HUB


def host_in(address: str) -> str:
    """The host, and port, in what people write for a registry."""
    host = _SCHEME.sub("", address.strip()).partition("/")[0].lower()
    return HUB if host in _HUB_NAMES else host

"""
References of images, as Docker and registries read them: ``host:port/repository:tag@digest``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from salt_ubiq.errors import brief, near_matches

OUR_HOST = "salt-ubiq.local"
"""Where builds have images that have no tag of their own yet, shared layers and the like."""

# Docker's reference grammar (distribution/reference), without the digest.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
# What has neither dot nor port is part of the path, but for localhost.
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+|localhost|{_LABEL}(?=:))(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*")
PREFIX = re.compile(rf"{_HOST}(?:/{_COMPONENT})*")
LONGEST_REPOSITORY = 255
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_REFERENCE = re.compile(
    rf"sha256:[0-9a-f]{{64}}|{REPOSITORY.pattern}(?::{TAG.pattern})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)
_ID = "sha256:"
# As `docker images` shows them.
_PART_OF_ID = re.compile(r"[0-9a-f]{12,64}|sha256:[0-9a-f]{0,63}")


@dataclass(frozen=True)
class Name:
    """What a reference is made of, the tag empty where it has none."""

    repository: str
    tag: str


def split(reference: str) -> Name:
    """Return the repository and the tag of a reference."""
    bare = reference.partition("@")[0]
    repository, colon, tag = bare.rpartition(":")
    return Name(repository, tag) if colon and "/" not in tag else Name(bare, "")


def tagged(reference: str) -> str:
    """Return ``name`` as Docker reads it: ``name:latest``."""
    bare = ":" not in reference.rpartition("/")[2]
    return f"{reference}:latest" if bare else reference


def familiar(reference: str) -> str:
    """Return a reference as people write it: Podman puts a host before those that have none."""
    for host in ("docker.io/library/", "docker.io/", "localhost/"):
        if reference.startswith(host):
            return reference.removeprefix(host)
    return reference


def names_host(reference: str) -> bool:
    """Say whether a reference names the registry that it is in."""
    first, slash, _ = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def is_id(reference: str) -> bool:
    """Say whether that is the ID of an image, which registries don't know."""
    return reference.startswith(_ID)


def digits(image_id: str) -> str:
    """Return the digits of an image's ID, without ``sha256:``: files are named after them."""
    return image_id.removeprefix(_ID)


def image_id(digits: str) -> str:
    """Return the ID that :func:`digits` took apart."""
    return f"{_ID}{digits.removeprefix(_ID)}"


def mistake_in(base: str, names: Iterable[str]) -> str:
    """Say what is wrong with a ``base`` that no image has as its name, or ``""``."""
    if _PART_OF_ID.fullmatch(base):
        return (
            f"'{base}' is not the whole ID of an image: write sha256:… with all 64 digits, as "
            f"docker image inspect --format '{{{{.Id}}}}' {digits(base)} prints it"
        )
    if not any(sign in base for sign in ":/@"):
        return (
            f"no image '{brief(base)}' in the catalogue{near_matches(base, names)}; "
            f"an image from outside is written with its tag ({brief(base)}:latest)"
        )
    return mistake_in_reference(base)


def mistake_in_reference(reference: str) -> str:
    """Say that no image can have that as its name, or ``""``."""
    if len(split(reference).repository) <= LONGEST_REPOSITORY and _REFERENCE.fullmatch(reference):
        return ""
    return f"'{brief(reference)}' is not an image reference such as debian:12"

"""
Everything that can go wrong, as one tree of exceptions.

A message is written for the person who must act: it names the place and says
what to do. The loader modules turn these into Salt's own exceptions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class UbiqError(Exception):
    """Base of all errors that salt-ubiq raises on purpose."""


class UsageError(UbiqError):
    """A function was called with what it can't take."""


class Problem(NamedTuple):
    """One mistake in the catalogue: where it is, and what is wrong with it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class CatalogueError(UbiqError):
    """A declaration is not valid; ``problems`` has every mistake found."""

    def __init__(self, problems: Sequence[Problem], what: str = "the catalogue") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = f"{what} has {count} mistake{'s' if count != 1 else ''}:"
        super().__init__("\n".join([title, *(f"  {problem}" for problem in self.problems)]))


class PillarError(UbiqError):
    """The pillar of this host does not render, so there is no telling what it declares."""


class UnknownImage(UbiqError):
    """A name that the catalogue does not hold."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        hint = near_matches(name, known)
        if not hint:
            hint = f"; it has {', '.join(known)}" if known else "; it is empty (pillar key 'ubiq')"
        super().__init__(f"no image '{name}' in the catalogue{hint}")


class WorkspaceError(UbiqError):
    """What a host keeps of builds can't be written."""


class UnknownRun(UbiqError):
    """A run that there is no record of."""


class EngineError(UbiqError):
    """The Docker engine can't be reached, or refused what was asked of it."""


class NameTaken(EngineError):
    """A container of that name is there already."""


class NoTools(EngineError):
    """An image has not even the few programs that a build needs in any container."""

    def __init__(self) -> None:
        super().__init__("a base needs a shell and coreutils: it has no sh")


class RegistryError(UbiqError):
    """A registry can't be reached, or did not do what was asked of it."""


class AccessDenied(RegistryError):
    """A registry wants another login."""


class CallFailed(UbiqError):
    """A Salt function failed in a container of an image."""


class BuildError(UbiqError):
    """An image could not be built; its tags are as they were."""

    log: str | None = None
    """Where the build's log is, if it came so far as to have one."""

    kept: str | None = None
    """The reference of what has failed, if that is kept."""

    def __init__(self, message: str, failed: Sequence[dict[str, str]] = ()) -> None:
        self.failed = tuple(failed)
        """Descriptions of the states that are known to have failed."""
        super().__init__(message)

    def __str__(self) -> str:
        places = {"kept as": self.kept, "log": self.log}
        lines = [f"{title}: {place}" for title, place in places.items() if place]
        return "\n".join([super().__str__(), *lines])


class StatesFailed(BuildError):
    """States of the image failed; ``failed`` has which."""


class BeginningChanged(BuildError):
    """An image that a build was to go on from has other states than the build begins with."""


class NotVerified(BuildError):
    """An image was built, but is not as it has to be; ``failures`` says in what."""

    def __init__(self, name: str, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        lines = "".join(f"\n  {failure}" for failure in failures)
        super().__init__(f"{name}: the new image is not what it has to be:{lines}")


class BuildCancelled(BuildError):
    """The build was interrupted."""


def shortened(text: str, most: int = 2000) -> str:
    """A text that a message may quote: of a long one its beginning, and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} letters)"


def near_matches(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x' or 'y'?)"``, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=3)
    if not matches:
        return ""
    return f" (did you mean {' or '.join(repr(match) for match in matches)}?)"

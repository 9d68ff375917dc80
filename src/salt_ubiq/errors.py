"""
Everything that can go wrong, as one tree of exceptions.

A message is written for the person who must act: it names the place and says
what to do. The loader modules turn these into Salt's own exceptions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SHOWN = 80  # letters of one value
_LISTED = 300  # letters of several
_PLACE = 250
_MISTAKES = 20


class UbiqError(Exception):
    """Base of all errors that salt-ubiq raises on purpose."""


class UsageError(UbiqError):
    """A function was called with what it can't take."""


class Problem(NamedTuple):
    """One mistake in the catalogue: where it is, and what is wrong with it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{shortened(self.path, _PLACE)}: {self.message}"


class CatalogueError(UbiqError):
    """A declaration is not valid; ``problems`` has every mistake found, the text the first."""

    def __init__(self, problems: Sequence[Problem], what: str = "the catalogue") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = f"{what} has {count} mistake{'s' if count != 1 else ''}:"
        lines = [f"  {problem}" for problem in self.problems[:_MISTAKES]]
        if count > _MISTAKES:
            lines.append(f"  and {count - _MISTAKES} more")
        super().__init__("\n".join([title, *lines]))


class PillarError(UbiqError):
    """The pillar of this host does not render, so there is no telling what it declares."""


class UnknownImage(UbiqError):
    """A name that the catalogue does not hold."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        hint = near_matches(name, known)
        if not hint:
            hint = f"; it has {joined(known)}" if known else "; it is empty (pillar key 'ubiq')"
        super().__init__(f"no image '{brief(name)}' in the catalogue{hint}")


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


def brief(value: object) -> str:
    """A value that a message shows: on one line, and of a long one no more than its beginning."""
    text = str(value)
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:_SHOWN])
    return shown if len(text) <= _SHOWN else f"{shown}… ({len(text)} letters)"


def joined(values: Sequence[object], between: str = ", ") -> str:
    """Several of them; of many the first, and how many more there are."""
    shown: list[str] = []
    for value in map(brief, values):
        if shown and len(between.join([*shown, value])) > _LISTED:
            return f"{between.join(shown)} and {len(values) - len(shown)} more"
        shown.append(value)
    return between.join(shown)


def near_matches(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x' or 'y'?)"``, or an empty string."""
    if len(name) > _SHOWN:
        return ""  # nobody has mistyped that, and comparing takes long
    short = [each for each in known if len(each) <= _SHOWN]
    matches = difflib.get_close_matches(name, short, n=3)
    if not matches:
        return ""
    return f" (did you mean {' or '.join(repr(match) for match in matches)}?)"

"""
What came of a build, for programs and for people.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

Action = Literal["built", "up-to-date", "failed", "skipped"]


@dataclass(frozen=True)
class States:
    """How the states of one image fared."""

    total: int = 0
    changed: int = 0
    failed: tuple[dict[str, str], ...] = ()

    @classmethod
    def from_return(
        cls, ret: Mapping[str, Mapping[str, Any]], clean: Callable[[str], str]
    ) -> States:
        """
        Sum up the return of ``state.apply``.

        clean
            applied to every text that is kept
        """
        failed = tuple(
            {
                "id": clean(str(state.get("__id__", key.split("_|-")[1]))),
                "sls": str(state.get("__sls__", "")),
                "function": "{0}.{3}".format(*key.split("_|-")),
                "comment": clean(_comment(state)),
            }
            for key, state in sorted(ret.items(), key=lambda item: item[1].get("__run_num__", 0))
            if state.get("result") is False
        )
        changed = sum(bool(state.get("changes")) for state in ret.values())
        return cls(len(ret), changed, failed)

    def failure(self) -> str:
        """The failed states, a line or more each; those that only waited for them counted."""
        waiting = [state for state in self.failed if "requisite failed" in state["comment"]]
        causes = [state for state in self.failed if state not in waiting] or waiting
        lines = [f"{len(self.failed)} of {self.total} states failed:"]
        for state in causes:
            comment = state["comment"].replace("\n", "\n    ")
            lines.append(f"  {state['sls']}: {state['id']} ({state['function']}): {comment}")
        if causes != waiting and waiting:
            lines.append(f"  and {len(waiting)} that require them")
        return "\n".join(lines)


def _comment(state: Mapping[str, Any]) -> str:
    """A state's comment, and what its command printed: without that nobody can tell why."""
    changes = state.get("changes")
    printed = changes if isinstance(changes, Mapping) else {}
    parts = [state.get("comment", ""), printed.get("stderr"), printed.get("stdout")]
    return "\n".join(str(part).strip() for part in parts if part)


@dataclass(frozen=True)
class Result:
    """What became of one image."""

    name: str
    image: str
    action: Action
    id: str | None = None
    old_id: str | None = None
    parent: str | None = None
    reasons: tuple[str, ...] = ()
    states: States = field(default_factory=States)
    warnings: tuple[str, ...] = ()
    pushed: tuple[dict[str, Any], ...] = ()
    duration: float = 0.0
    error: str | None = None
    log: str | None = None
    size: int | None = None
    attempts: int = 1

    @property
    def is_there(self) -> bool:
        """Whether there is an image as it is declared."""
        return self.action in ("built", "up-to-date")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Result:
        """
        The result that :meth:`to_dict` made ``plain`` of.

        Keys that it doesn't know are left out. Raises ``ValueError`` for what isn't a result.
        """
        return _RESULT.validate_python({**plain})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the loader modules return it."""
        plain = asdict(self)
        plain["reasons"] = list(self.reasons)
        plain["warnings"] = list(self.warnings)
        plain["pushed"] = list(self.pushed)
        plain["states"]["failed"] = list(self.states.failed)
        plain["duration"] = round(self.duration, 1)
        return plain


_RESULT = TypeAdapter(Result)


def table(results: Iterable[Result], elapsed: float | None = None) -> str:
    """
    Results for people: a line for each image, and one that sums them up.

    elapsed
        seconds that the whole run took
    """
    results = list(results)
    columns = zip(_HEADINGS, *(_row(result) for result in results), strict=True)
    # A column that says nothing of any image is noise.
    cells = [_padded(column) for column in columns if any(column[1:])]
    lines = ["  ".join(line).rstrip() for line in zip(*cells, strict=True)]
    return "\n".join([*lines, *([""] if lines else []), summary(results, elapsed)])


_HEADINGS = ("image", "action", "duration", "size", "pushed to", "why")
_NUMBERS = ("duration", "size")


def _padded(column: Sequence[str]) -> list[str]:
    """A column's cells, all as wide as the widest."""
    width = max(map(len, column))
    return [cell.rjust(width) if column[0] in _NUMBERS else cell.ljust(width) for cell in column]


def _row(result: Result) -> tuple[str, ...]:
    ran = result.action != "skipped"
    return (
        result.name,
        _words(result.action),
        human_duration(result.duration) if ran else "",
        "" if result.size is None else human_size(result.size),
        ", ".join(each["reference"] for each in result.pushed if each["pushed"]),
        _why(result),
    )


def _words(action: Action) -> str:
    return action.replace("-", " ")


def _why(result: Result) -> str:
    """The first line of the error, or the first reason and how many more there are."""
    why = _first_line(result.error or "").rstrip(":")
    if not why and result.reasons:
        why = in_short(result.reasons)
    if result.attempts > 1:
        why = f"{why} ({result.attempts} attempts)".lstrip()
    return why


def in_short(reasons: Sequence[str]) -> str:
    """The first reason, and how many more there are."""
    first, more = _first_line(reasons[0]), len(reasons) - 1
    return f"{first}, and {more} more" if more else first


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")


def summary(results: Iterable[Result], elapsed: float | None = None) -> str:
    """``9 built, 2 up to date, 1 failed in 1 min 23 s``."""
    counts = Counter(result.action for result in results)
    parts = [f"{counts[action]} {_words(action)}" for action in get_args(Action) if counts[action]]
    text = ", ".join(parts) or "no images"
    return text if elapsed is None else f"{text} in {human_duration(elapsed)}"


def human_size(size: int) -> str:
    """``117 MB``, in the decimal units that Docker's own commands show."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if round(number) < 1000:
            return f"{_short(number)} {unit}"
        number /= 1000
    return f"{_short(number)} TB"


def human_duration(seconds: float) -> str:
    """``4.7 s``, ``1 min 23 s`` or ``2 h 5 min``."""
    if round(seconds) < 60:
        return f"{_short(seconds)} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _short(number: float) -> str:
    """One decimal below ten, if it isn't zero; none above."""
    return f"{round(number, 1):g}" if number < 9.95 else str(round(number))


def new_run_id() -> str:
    """A name for a run, such as ``20261123T175145Z-c86522``; they sort by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"

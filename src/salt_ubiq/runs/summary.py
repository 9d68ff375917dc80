"""
What came of a run, for people: a table and one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

from salt_ubiq.human import first_line, human_duration, human_size, in_short
from salt_ubiq.results import Action, Result


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
    why = first_line(result.error or "").rstrip(":")
    if not why and result.reasons:
        why = in_short(result.reasons)
    if result.attempts > 1:
        why = f"{why} ({result.attempts} attempts)".lstrip()
    return why


def summary(results: Iterable[Result], elapsed: float | None = None) -> str:
    """``9 built, 2 up to date, 1 failed in 1 min 23 s``."""
    counts = Counter(result.action for result in results)
    parts = [f"{counts[action]} {_words(action)}" for action in get_args(Action) if counts[action]]
    text = ", ".join(parts) or "no images"
    return text if elapsed is None else f"{text} in {human_duration(elapsed)}"

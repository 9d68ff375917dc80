"""
Amounts and texts as people read them.
"""

from __future__ import annotations

from collections.abc import Sequence


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


def in_short(reasons: Sequence[str]) -> str:
    """The first reason, and how many more there are."""
    first, more = first_line(reasons[0]), len(reasons) - 1
    return f"{first}, and {more} more" if more else first


def first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")

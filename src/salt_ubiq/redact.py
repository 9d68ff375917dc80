"""
Keeping pillar's secrets out of what people and programs get to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET_KEY = re.compile(
    r"pass|secret|token|credential|private|api[_-]?key|^key$|[_-]key$", re.IGNORECASE
)
_SHORTEST = 4  # a shorter value is found in any text
_HIDDEN = "******"


class Redactor:
    """Replaces in any text the values that stand in pillar under a key that says "secret"."""

    def __init__(self, *pillars: Mapping[str, Any]) -> None:
        values = {value for pillar in pillars for value in _secrets(pillar, False)}
        # The longest first: one secret may be the beginning of another.
        found = sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_HIDDEN, text) if self._pattern else text


def _secrets(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _secrets(below, secret or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item, secret)
    elif secret and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
        yield from (line for line in str(value).splitlines() if line.strip())

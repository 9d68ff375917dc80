"""Waiting for what takes a while on a machine that has much to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LONGEST = 180  # seconds

Answer = TypeVar("Answer")


def until(condition: Callable[[], Answer], seconds: float = LONGEST) -> Answer:
    """Wait until it holds, and return what it returned; an error of its own is one."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def eventually(answer: Callable[[], Answer], seconds: float = LONGEST) -> Answer:
    """Call ``answer`` until it returns without error, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return answer()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)

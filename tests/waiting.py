"""Waiting for what takes a while on a machine that has much to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LONGEST = 180  # seconds

Answer = TypeVar("Answer")


def until(answer: Callable[[], Answer]) -> Answer:
    """Call ``answer`` until it returns something true without error, and return that."""
    deadline = time.monotonic() + LONGEST
    while True:
        try:
            if found := answer():
                return found
            assert time.monotonic() < deadline
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)

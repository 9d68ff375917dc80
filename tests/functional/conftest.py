"""What tests that kill builds have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.gate import Gate


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A way to the engine on which a build can be stopped at one exact request."""
    with closing(Gate(tmp_path)) as gate:
        yield gate

"""Runs last: nothing of what the other tests of this folder look at is left afterwards."""

from __future__ import annotations

from tests.conftest import images_of_tests
from tests.integration.shipped.conftest import BIN, SHIPPED, run


def test_clean_removes_what_was_built(before, built, checkout, engine):
    printed = run(["tools/clean"], checkout)
    assert f"removed {SHIPPED}moodle-web:latest" in printed
    assert {image["Id"] for image in images_of_tests(engine)} == before
    assert not (checkout / ".ubiq").exists() and not (checkout / ".venv").exists()
    assert (BIN / "salt-call").exists()

"""Hosts with the services that come with the project."""

from __future__ import annotations

from typing import Any

import salt.utils.yaml

from tests.conftest import IMAGES, Host
from tests.support.repository import REPOSITORY

STATES = REPOSITORY / "_docker" / "service" / "salt" / "states"


def with_shipped(host: Host) -> Host:
    """Give a host the shipped states, pillar and catalogue, its images under the tests' names."""
    pillar: dict[str, Any] = {}
    for path in (REPOSITORY / "pillar").glob("*.sls"):
        if path.stem != "top":
            pillar |= salt.utils.yaml.safe_load(path.read_text())
    services = {
        f"test-{name}": {
            **service,
            "repository": service["repository"].replace("ubiquitous/", IMAGES),
            "base": "test-base",
        }
        for name, service in pillar["ubiq"]["services"].items()
    }
    pillar["ubiq"] = {"bases": {"test-base": host.base}, "services": services}
    host.pillar(pillar)
    host.opts["file_roots"] = {"base": [str(STATES), str(host.states)]}
    return host

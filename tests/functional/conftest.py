"""What tests of the shipped services have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest
import salt.utils.yaml

from tests.conftest import IMAGES, REPOSITORY, Host

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


@pytest.fixture
def shipped(host: Host) -> Host:
    """A host with the shipped states, pillar and catalogue."""
    return with_shipped(host)


@contextmanager
def running(engine: docker.APIClient, reference: str, **arguments: Any) -> Iterator[str]:
    """
    A container of the image, with its own command, for a while; yields its ID.

    ``files`` is a tar archive that is unpacked at / before it starts.
    """
    files = arguments.pop("files", None)
    host_config = engine.create_host_config(
        port_bindings={80: ("127.0.0.1",)}, network_mode=arguments.pop("network", "bridge")
    )
    container = engine.create_container(reference, host_config=host_config, **arguments)["Id"]
    try:
        if files:
            engine.put_archive(container, "/", files)
        engine.start(container)
        yield container
    finally:
        engine.remove_container(container, v=True, force=True)

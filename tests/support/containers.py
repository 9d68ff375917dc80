"""Containers of images, for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker


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

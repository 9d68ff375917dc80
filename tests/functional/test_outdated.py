"""What has moved under an image though nothing of it was changed, and building just that anew."""

from __future__ import annotations

import functools
import hashlib
import http.server
import ipaddress
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.conftest import BASE, IMAGES

PACKAGE = "salt-ubiq-test-package"
STATE = f"{PACKAGE}:\n  pkg.installed:\n    - refresh: True\n"
# Debian's own package lists take seconds to fetch, and are not what is looked at.
LOCAL = """\
FROM {base}
RUN rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* \\
 && echo 'deb [trusted=yes] {url} ./' > /etc/apt/sources.list.d/test.list
"""


class Mirror:
    """A repository of Debian packages, with one package in the version that was published last."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self._directory = directory

    def publish(self, version: str) -> None:
        """Have that version, instead of the one before."""
        root = self._directory / "root" / "DEBIAN"
        root.mkdir(parents=True, exist_ok=True)
        fields = (
            f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: nobody <nobody@example.org>\nDescription: of a test\n"
        )
        (root / "control").write_text(fields)
        deb = self._directory / f"{PACKAGE}_{version}_all.deb"
        build = ["dpkg-deb", "--root-owner-group", "--build", str(root.parent), str(deb)]
        subprocess.run(build, check=True, capture_output=True)
        content = deb.read_bytes()
        (self._directory / "Packages").write_text(
            f"{fields}Filename: ./{deb.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, engine: docker.APIClient) -> Iterator[Mirror]:
    """A mirror that containers reach, with version 1.0."""
    (config,) = engine.inspect_network("bridge")["IPAM"]["Config"]
    gateway = str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    directory = tmp_path / "mirror"
    directory.mkdir()
    handler = functools.partial(_Quiet, directory=str(directory))
    server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mirror = Mirror(directory, f"http://{gateway}:{server.server_port}")
    mirror.publish("1.0")
    yield mirror
    server.shutdown()
    server.server_close()


def local(mirror, image_of):
    """A base that knows no mirror but that."""
    return image_of(LOCAL.format(base=BASE, url=mirror.url), "local")


def test_newer_packages_are_told_and_a_refreshing_run_builds_just_what_has_them(
    host, mirror, image_of, run_in
):
    """The package is in a shared layer, which is renewed for all that share it."""
    host.file("packaged.sls", STATE)
    host.file("plain.sls", "/etc/plain:\n  file.managed:\n    - contents: plain\n")
    mods = {"packaged": ["packaged"], "both": ["packaged", "plain"], "plain": ["plain"]}
    service = {"base": local(mirror, image_of)}
    host.catalogue(
        **{
            f"test-{name}": {**service, "repository": f"{IMAGES}{name}", "mods": mods[name]}
            for name in mods
        }
    )
    built = host.call("ubiq_docker.build_all", *(f"test-{name}" for name in mods))
    assert {result["action"] for result in built.values()} == {"built"}
    mirror.publish("2.0")
    newer = {PACKAGE: {"installed": "1.0", "available": "2.0"}}
    assert host.call("ubiq_docker.outdated", "test-packaged", "test-plain") == {
        "test-packaged": {"outdated": True, "packages": newer, "moved": []},
        "test-plain": {"outdated": False, "packages": {}, "moved": []},
    }
    plan = host.call("ubiq_docker.plan", "test-p*")
    assert {step["name"]: step["reasons"] for step in plan} == {
        "test-packaged": [],
        "test-plain": [],
    }

    results = host.call("ubiq_docker.build_all", *(f"test-{name}" for name in mods), refresh=True)
    reason = f"package {PACKAGE}: 1.0 is installed, 2.0 is available"
    assert {name: result["reasons"] for name, result in results.items()} == {
        "test-packaged": [reason],
        "test-both": [reason],
        "test-plain": [],
    }
    for name in ("packaged", "both"):
        query = ("dpkg-query", "-W", "-f", "${Version}", PACKAGE)
        assert run_in(f"{IMAGES}{name}", *query) == "2.0"
    assert not host.call("ubiq_docker.outdated", "test-both")["test-both"]["outdated"]


def test_what_can_not_be_looked_at_is_left_as_it_is(host, mirror, image_of, caplog):
    """Its package lists are gone: that is no reason to build, nor to fail."""
    image_of(LOCAL.format(base=BASE, url=f"{mirror.url}/gone"), "packaged")
    host.catalogue(
        **{"test-packaged": {"repository": f"{IMAGES}packaged", "base": BASE, "mods": ["web"]}}
    )
    host.call("ubiq_docker.plan", "test-packaged", refresh=True)
    assert "test-packaged: can't tell what has moved under it" in caplog.text
    assert "pkg.refresh_db: E: Some index files failed to download" in caplog.text

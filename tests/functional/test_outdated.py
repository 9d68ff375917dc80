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

from tests.conftest import IMAGES

pytestmark = pytest.mark.usefixtures("base", "images")

PACKAGE = "salt-ubiq-test-package"
STATE = """\
/etc/apt/sources.list.d/test.list:
  file.managed:
    - contents: deb [trusted=yes] {url} ./

{package}:
  pkg.installed:
    - refresh: True
    - require:
      - file: /etc/apt/sources.list.d/test.list
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


@pytest.fixture
def two(host, mirror):
    """One service has the mirror's package, the other has not."""
    host.file("packaged.sls", STATE.format(url=mirror.url, package=PACKAGE))
    host.file("plain.sls", "/etc/plain:\n  file.managed:\n    - contents: plain\n")
    host.catalogue(
        **{
            f"test-{mods}": {"repository": f"{IMAGES}{mods}", "base": "test-base", "mods": [mods]}
            for mods in ("packaged", "plain")
        }
    )
    built = host.call("ubiq_docker.build_all", "test-p*")
    assert {result["action"] for result in built.values()} <= {"built", "up-to-date"}
    return host


def test_a_newer_package_is_told_of_the_image_that_has_it(two, mirror):
    assert not two.call("ubiq_docker.outdated", "test-packaged")["test-packaged"]["outdated"]
    mirror.publish("2.0")
    assert two.call("ubiq_docker.outdated", "test-packaged", "test-plain") == {
        "test-packaged": {
            "outdated": True,
            "packages": {PACKAGE: {"installed": "1.0", "available": "2.0"}},
            "moved": [],
        },
        "test-plain": {"outdated": False, "packages": {}, "moved": []},
    }


def test_a_refreshing_run_builds_just_what_is_outdated(two, mirror):
    mirror.publish("2.0")
    without = two.call("ubiq_docker.build_all", "test-p*")
    assert {result["action"] for result in without.values()} == {"up-to-date"}

    reason = f"package {PACKAGE}: 1.0 is installed, 2.0 is available"
    plan = {step["name"]: step for step in two.call("ubiq_docker.plan", "test-p*", refresh=True)}
    assert plan["test-packaged"]["reasons"] == [reason]

    results = two.call("ubiq_docker.build_all", "test-p*", refresh=True)
    assert {name: result["action"] for name, result in results.items()} == {
        "test-base": "up-to-date",
        "test-packaged": "built",
        "test-plain": "up-to-date",
    }
    assert results["test-packaged"]["reasons"] == [reason]
    assert two.call("ubiq_docker.packages", "test-packaged")[PACKAGE] == "2.0"
    again = two.call("ubiq_docker.build_all", "test-p*", refresh=True)
    assert {result["action"] for result in again.values()} == {"up-to-date"}


def test_a_package_of_a_shared_layer_is_renewed_in_all_that_share_it(two, mirror):
    two.catalogue(
        **{
            f"test-{mods[-1]}": {"repository": f"{IMAGES}{mods[-1]}", "base": "test-base",
                                 "mods": mods}
            for mods in (["packaged"], ["packaged", "plain"])
        }
    )  # fmt: skip
    two.call("ubiq_docker.build_all")
    mirror.publish("2.0")
    two.call("ubiq_docker.build_all", refresh=True)
    for name in ("test-packaged", "test-plain"):
        assert two.call("ubiq_docker.packages", name)[PACKAGE] == "2.0"


def test_what_can_not_be_looked_at_is_left_as_it_is(two, mirror, caplog):
    """Its package lists are gone: that is no reason to build, nor to fail."""
    for path in Path(mirror._directory).iterdir():
        if path.is_file():
            path.unlink()
    results = two.call("ubiq_docker.build_all", "test-packaged", refresh=True)
    assert results["test-packaged"]["action"] == "up-to-date"
    assert "test-packaged: can't tell what has moved under it" in caplog.text

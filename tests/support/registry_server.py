"""A real registry: Debian's docker-registry, with a config and a directory of its own."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

USERNAME = "team"
PASSWORD = "correct horse"
# bcrypt of PASSWORD, the only hash that the registry takes
_HTPASSWD = f"{USERNAME}:$2b$04$446ly8J45dnWF4XUn6NSD.o/ScQGbAynEOUd0wySRei5LXFbS73Ra\n"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CERTIFICATES = Path("/etc/docker/certs.d")
_SECONDS_TO_START = 120


class RegistryServer:
    """
    A registry for the time of a ``with`` block.

    password
        whether it wants :data:`USERNAME` and :data:`PASSWORD`

    tls
        whether it has a certificate, which authority :meth:`trusted` makes known

    address, port
        where it listens, by default at a free port; the engine trusts those of the loopback
        without TLS
    """

    def __init__(
        self,
        directory: Path,
        password: bool = False,
        tls: bool = False,
        address: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        self.host = f"{address}:{port or _free_port(address)}"
        self._directory = directory
        self._password = password
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True)
        (directory / "htpasswd").write_text(_HTPASSWD)
        if tls:
            self._make_certificate(address)
        (directory / "config.yml").write_text(json.dumps(self._config()))

    def __enter__(self) -> RegistryServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, with what it had when it was killed, and wait until it listens."""
        command = ["docker-registry", "serve", str(self._directory / "config.yml")]
        with self._log.open("a") as handle:
            self._process = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def digest(self, repository: str, tag: str) -> str | None:
        """What its own API says is the digest of an image."""
        try:
            with self._open(f"/v2/{repository}/manifests/{tag}") as response:
                return str(response.headers["Docker-Content-Digest"])
        except urllib.error.HTTPError as exc:
            assert exc.code == 404
            return None

    def config_id(self, repository: str, tag: str) -> str:
        """The ID of the image that it has there."""
        with self._open(f"/v2/{repository}/manifests/{tag}") as response:
            return str(json.load(response)["config"]["digest"])

    def tags(self, repository: str) -> set[str]:
        """The tags that it has in a repository."""
        with self._open(f"/v2/{repository}/tags/list") as response:
            return set(json.load(response)["tags"])

    def writes(self) -> int:
        """How many requests it got that send something."""
        return len(re.findall(r'"(?:PUT|POST|PATCH) ', self._log.read_text()))

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """Have the engine of this machine trust its certificate."""
        place = _CERTIFICATES / self.host
        had = _CERTIFICATES.exists()
        place.mkdir(parents=True)
        try:
            (place / "ca.crt").write_bytes((self._directory / "ca.crt").read_bytes())
            yield
        finally:
            (place / "ca.crt").unlink(missing_ok=True)
            place.rmdir()
            if not had:
                _CERTIFICATES.rmdir()

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _config(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": self.host}
        if self._tls:
            files = {"certificate": "server.crt", "key": "server.key"}
            http["tls"] = {key: str(self._directory / name) for key, name in files.items()}
        config: dict[str, Any] = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(self._directory / "data")}},
            "http": http,
        }
        if self._password:
            htpasswd = str(self._directory / "htpasswd")
            config["auth"] = {"htpasswd": {"realm": "test", "path": htpasswd}}
        return config

    def _listens(self) -> bool:
        address, _, port = self.host.rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((address, int(port))) == 0

    def _open(self, path: str) -> Any:
        request = urllib.request.Request(f"http{'s' * self._tls}://{self.host}{path}")
        request.add_header("Accept", _MANIFEST)
        if self._password:
            login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        context = None
        if self._tls:
            context = ssl.create_default_context(cafile=str(self._directory / "ca.crt"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        return opener.open(request, timeout=10)

    def _make_certificate(self, address: str) -> None:
        def openssl(*arguments: str) -> None:
            subprocess.run(
                ["openssl", *arguments], cwd=self._directory, check=True, capture_output=True
            )

        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        (self._directory / "names").write_text(f"subjectAltName=IP:{address}\n")
        openssl(
            *("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt"),
            *("-days", "2", "-subj", "/CN=test authority"),
        )
        openssl(
            *("req", *new_key, "-keyout", "server.key", "-out", "server.csr"),
            *("-subj", "/CN=test registry"),
        )
        openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt"),
        )


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])

"""Registries that fail in one way or another, each a small server on the loopback."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DIGEST = f"sha256:{'a' * 64}"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no farewell


class Request(BaseHTTPRequestHandler):
    """One request, and how it can be answered."""

    protocol_version = "HTTP/1.1"
    fail: Callable[[Request], None]
    over: Event

    def do_GET(self) -> None:
        """Fail, as all other kinds of requests do."""
        type(self).fail(self)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def answer(
        self, status: int, body: str = "", kind: str = "application/json", **headers: str
    ) -> None:
        """Answer with a status; names of headers have ``_`` for ``-``."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def error(self, status: int, code: str, message: str = "", **headers: str) -> None:
        """Answer with an error as registries do."""
        body = json.dumps({"errors": [{"code": code, "message": message or code.lower()}]})
        self.answer(status, body, **headers)

    def challenge(self, how: str) -> None:
        """Ask for a login."""
        self.error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=how)

    def wants_token(self, of: str) -> None:
        """Ask for a token of that server."""
        self.challenge(f'Bearer realm="http://{of}/token",service="test"')

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def host(self) -> str:
        """``address:port`` of this server."""
        return str(self.headers["Host"])


@contextmanager
def failing(fail: Callable[[Request], None]) -> Iterator[str]:
    """A registry that fails so; yields its host."""
    over = Event()
    handler = type("Failing", (Request,), {"fail": staticmethod(fail), "over": over})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()


def with_token(answer: Callable[[Request], None]) -> Callable[[Request], None]:
    """A registry that wants a token of a service that answers so."""

    def fail(request: Request) -> None:
        if request.path.startswith("/token"):
            answer(request)
        else:
            request.wants_token(request.host)

    return fail


def at_manifests(answer: Callable[[Request], None]) -> Callable[[Request], None]:
    """A registry that works, but for its manifests."""

    def fail(request: Request) -> None:
        if "/manifests/" in request.path:
            answer(request)
        else:
            request.answer(200, "{}")

    return fail


def with_manifest(
    body: str, kind: str = MANIFEST, digest: str = _DIGEST
) -> Callable[[Request], None]:
    """A registry where that is a manifest."""
    return at_manifests(
        lambda request: request.answer(200, body, kind, Docker_Content_Digest=digest)
    )


def without_farewell(request: Request) -> None:
    """Reset the connection."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    request.connection.close()
    request.close_connection = True


def cut_off(request: Request) -> None:
    """Begin to send a manifest, and reset the connection."""
    _begin(request)
    without_farewell(request)


def endless(request: Request) -> None:
    """Send a manifest that does not end."""
    _begin(request)
    with suppress(OSError):
        while not request.over.wait(0.1):
            request.wfile.write(b" ")


def _begin(request: Request) -> None:
    request.send_response(200)
    for name, value in {
        "Content-Type": MANIFEST,
        "Content-Length": "100000",
        "Docker-Content-Digest": _DIGEST,
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(b"{")


def in_a_circle(request: Request) -> None:
    """Send whoever asks back to where he came from."""
    request.answer(307, Location=f"http://{request.host}{request.path}")

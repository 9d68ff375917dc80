"""A mirror of Debian's packages that wants a password: it sends whoever has it to the real one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_DEBIAN = "http://deb.debian.org"
USERNAME = "team"
PASSWORD = "battery@staple"


class ClosedMirror:
    """
    host
        ``address:port``

    seen
        the arguments of all processes of this machine when it was asked
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.seen: set[bytes] = set()

    def look(self) -> None:
        """See which processes there are."""
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.seen.add(each.read_bytes())
            except OSError:  # it has ended
                continue


@contextmanager
def closed_mirror() -> Iterator[ClosedMirror]:
    """One on the loopback, for a while."""
    wanted = f"Basic {base64.b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            mirror.look()
            allowed = self.headers["Authorization"] == wanted
            self.send_response(302 if allowed else 401)
            self.send_header("Location", f"{_DEBIAN}{self.path}")
            self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror = ClosedMirror(f"127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield mirror
        server.shutdown()

"""A way to a Docker engine on which a client can be stopped at one exact request."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
_CHUNK = 65536
_QUIET = 0.05  # seconds, after which a request has come whole

Moment = Literal["before", "during", "after"]


def connected(url: str) -> socket.socket:
    """A connection to an engine, at the address of a socket or of a port."""
    scheme, _, place = url.partition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(place)
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)))


@dataclass
class _Stop:
    """The request at which a client is stopped."""

    pattern: re.Pattern[bytes]
    nth: int
    moment: Moment
    seen: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Let the client wait until that is over."""
        self.reached.set()
        self.over.wait()


class Gate:
    """
    A socket that passes everything on to the engine's, and back.

    Its ``url`` is what clients connect to, ``engine`` that of the engine.
    """

    def __init__(self, directory: Path, engine: str = ENGINE) -> None:
        path = str(directory / "gate")
        self.url = f"unix://{path}"
        self._engine = engine
        self._stop: _Stop | None = None
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @contextmanager
    def stopping(
        self, pattern: bytes, nth: int = 1, moment: Moment = "before"
    ) -> Iterator[threading.Event]:
        """
        Stop a client at the ``nth`` thing it sends that has ``pattern`` in it.

        moment
            ``before`` the engine gets it, ``during`` its work on it, or ``after`` that, when
            the client has not got the answer

        Yields what is set when that is reached; in the end its connection is closed.
        """
        self._stop = stop = _Stop(re.compile(pattern), nth, moment)
        try:
            yield stop.reached
        finally:
            self._stop = None
            stop.over.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                try:
                    engine = connected(self._engine)
                except OSError:  # it was stopped
                    client.close()
                    continue
                connection = _Connection(self, client, engine)
                for work in (connection.ask, connection.answer):
                    threading.Thread(target=work, daemon=True).start()

    def stop_at(self, chunk: bytes) -> _Stop | None:
        """Say whether it is at this that a client is to be stopped."""
        with self._lock:
            stop = self._stop
            if stop is None or not stop.pattern.search(chunk):
                return None
            stop.seen += 1
            return stop if stop.seen == stop.nth else None


class _Connection:
    """One connection of a client, and the one to the engine that is made for it."""

    def __init__(self, gate: Gate, client: socket.socket, engine: socket.socket) -> None:
        self._gate = gate
        self._client = client
        self._engine = engine
        self._stop: _Stop | None = None

    def ask(self) -> None:
        """Pass on what the client sends."""
        with suppress(OSError), self._client:
            while chunk := self._received():
                stop = self._gate.stop_at(chunk)
                if stop and stop.moment == "before":
                    stop.hold()
                    break
                self._stop = self._stop or stop
                self._engine.sendall(chunk)
        with suppress(OSError):
            self._engine.shutdown(socket.SHUT_RDWR)

    def _received(self) -> bytes:
        if self._stop and self._stop.moment == "during":
            self._client.settimeout(_QUIET)
            try:
                return self._client.recv(_CHUNK)
            except TimeoutError:
                self._stop.hold()
                return b""
        return self._client.recv(_CHUNK)

    def answer(self) -> None:
        """Pass on what the engine answers."""
        with suppress(OSError), self._engine:
            while chunk := self._engine.recv(_CHUNK):
                if self._stop:
                    if self._stop.moment == "after":
                        self._stop.hold()
                    self._stop.over.wait()
                    break
                self._client.sendall(chunk)
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

"""The probe that asks servers in containers, here on this machine's loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from salt_ubiq.inside import probe


def ask(port, timeout=5, **http):
    """The probe's exit status and what it says."""
    if http:
        http = {"path": "/", "host": "localhost", "status": 200, "text": None, **http}
    question = json.dumps({"port": port, "timeout": timeout, **http})
    done = subprocess.run(
        [sys.executable, probe.__file__, question], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.strip()


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=latin-1")
        self.end_headers()
        self.wfile.write(f"Grüße von {self.headers['Host']}".encode("latin-1"))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def port():
    """Of a web server."""
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def closed_port():
    """Nothing listens there, and nothing else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def server(serve):
    """A server that does ``serve(connection)`` for each; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept():
            with suppress(OSError):  # the probe or this server is gone
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def test_a_port_that_accepts_connections_is_enough_for_a_check_of_the_port(port):
    assert ask(port) == (0, "")


def test_a_closed_port_is_waited_for_until_the_time_is_up(closed_port):
    started = time.monotonic()
    said = f"nothing accepts connections on port {closed_port} after 0.5 s"
    assert ask(closed_port, timeout=0.5) == (1, said)
    assert ask(closed_port, timeout=0.5, path="/") == (1, said)
    assert 1 <= time.monotonic() - started < 5


def test_a_server_that_starts_late_is_waited_for():
    with HTTPServer(("127.0.0.1", 0), Pages, bind_and_activate=False) as late:
        late.server_bind()  # it refuses connections until it listens
        threading.Timer(0.5, late.server_activate).start()
        assert ask(late.server_address[1]) == (0, "")


def test_an_answer_has_to_have_the_status_and_the_text(port):
    get = f"GET / on port {port} answers"
    assert ask(port, text="Grüße", host="a.example") == (0, "")
    assert ask(port, path="/none", status=404) == (0, "")
    assert ask(port, 0.5, path="/none") == (
        1,
        f"GET /none on port {port} answers 404 Not Found, not 200, after 0.5 s",
    )
    assert ask(port, 0.5, text="Willkommen") == (
        1,
        f"{get} 200 without the text 'Willkommen' after 0.5 s",
    )


def test_the_host_is_the_one_that_is_asked_for(port):
    assert ask(port, text="von a.example", host="a.example") == (0, "")


def test_a_server_that_answers_a_byte_now_and_then_does_not_outlast_the_time():
    def drip(connection):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(20):
            time.sleep(0.2)
            connection.sendall(b".")

    started = time.monotonic()
    with server(drip) as port:
        said = f"GET / on port {port} gets no whole answer after 1 s"
        assert ask(port, timeout=1, path="/") == (1, said)
    assert time.monotonic() - started < 4


def test_what_is_no_http_is_told_of():
    with server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n")) as port:
        said = f"GET / on port {port} gets no whole answer (SSH-2.0-OpenSSH) after 0.5 s"
        assert ask(port, timeout=0.5, path="/") == (1, said)


def test_an_answer_that_came_is_told_even_if_the_next_one_does_not_come():
    asked = []

    def serve(connection):
        asked.append(connection.recv(1000))
        if len(asked) == 1:
            connection.sendall(b"HTTP/1.0 503 Starting\r\n\r\n")
        else:
            time.sleep(2)

    with server(serve) as port:
        said = f"GET / on port {port} answers 503 Starting, not 200, after 1 s"
        assert ask(port, timeout=1, path="/") == (1, said)
    assert len(asked) == 2


def test_the_same_page_without_the_text_three_times_is_the_servers_last_word(port):
    began = time.monotonic()
    status, said = ask(port, timeout=20, text="Willkommen")
    assert (status, said) == (
        1,
        f"GET / on port {port} answers 200 without the text 'Willkommen', 3 times",
    )
    assert 2 <= time.monotonic() - began < 15


def test_a_page_that_changes_is_asked_for_as_long_as_there_is_time():
    pages = iter(range(10**6))

    def serve(connection):
        connection.recv(1000)
        body = b"%d" % next(pages)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with server(serve) as port:
        status, said = ask(port, timeout=3, text="Willkommen")
    assert (status, said.endswith("without the text 'Willkommen' after 3 s")) == (1, True)

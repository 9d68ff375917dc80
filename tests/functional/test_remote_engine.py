"""Builds need nothing of the engine but its API: over TCP, and with TLS, they work as well."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.conftest import IMAGES
from tests.support.certificates import self_signed
from tests.support.gate import ENGINE

ADDRESS = "127.0.0.1"


async def passed_on(source, target):
    """Pass on what comes, until it ends."""
    with suppress(OSError):
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()
    target.close()


async def connected(reader, writer):
    engine_reader, engine_writer = await asyncio.open_unix_connection(
        ENGINE.removeprefix("unix://")
    )
    await asyncio.gather(passed_on(reader, engine_writer), passed_on(engine_reader, writer))


@contextmanager
def listening(tls=None):
    """The engine's API on a port of the loopback, for a while; yields its address."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(connected, ADDRESS, 0, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"tcp://{ADDRESS}:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def certificates(tmp_path):
    """A directory as ``DOCKER_CERT_PATH`` names one; the server has the same certificate."""
    made = self_signed(tmp_path, ADDRESS)
    (tmp_path / "ca.pem").write_bytes(made.certificate.read_bytes())
    return tmp_path


def see_that_it_builds(host, run_in):
    host.file("page.html", "page " * 100_000)
    host.file("web.sls", "/srv/page:\n  file.managed:\n    - source: salt://page.html\n")
    service = {"base": "test-base", "mods": ["web"], "verify": [{"file": "/srv/page"}]}
    host.catalogue(**{"test-web": {"repository": f"{IMAGES}web", **service}})
    built = host.call("ubiq_docker.build_service", "test-web")
    assert built["warnings"] == []
    assert run_in(built["image"], "sh", "-c", "wc -c < /srv/page") == "500000"


def test_an_image_is_built_by_an_engine_that_is_reached_over_tcp(host, run_in, monkeypatch):
    with listening() as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        see_that_it_builds(host, run_in)


def test_an_image_is_built_by_an_engine_that_is_reached_over_tls(
    host, run_in, monkeypatch, certificates
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    # Of the environment, requests would rather trust these.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with listening(context) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        see_that_it_builds(host, run_in)

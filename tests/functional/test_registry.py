"""Pushing to, and pulling from, a real registry."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import signal
import socket
import tarfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_network
from multiprocessing import get_context
from pathlib import Path

import docker.errors
import pytest

from salt_ubiq.catalogue.models import Service
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import AccessDenied, RegistryError
from salt_ubiq.registry.client import Registry
from salt_ubiq.registry.logins import credentials
from salt_ubiq.workspace.slots import Workspace
from tests.conftest import DEBIAN, IMAGES
from tests.support.failing_registry import (
    at_manifests,
    cut_off,
    endless,
    failing,
    in_a_circle,
    with_manifest,
    with_token,
    without_farewell,
)
from tests.support.registry_server import PASSWORD, USERNAME, RegistryServer
from tests.support.second_engine import second_engine, why_not

WRONG = "battery staple"
AGAIN = "2 attempts failed: see whether it runs and can be reached"
TEAM = "team"


@pytest.fixture
def repository(request):
    """The test's own, as registries are for all tests of this file."""
    _numbers[request.node.nodeid] = len(_numbers)
    return f"{IMAGES}pushed-{_numbers[request.node.nodeid]}"


_numbers: dict[str, int] = {}


@pytest.fixture
def service(repository):
    """``service(repository, tags)``: a service, by default in the test's repository."""

    def declare(repository=repository, tags="1, latest"):
        declared = {"repository": repository, "tags": tags, "base": DEBIAN, "mods": ["web"]}
        return Service(name="test-web", path="ubiq:services:test-web", **declared)

    return declare


def names_of(engine, image_id):
    return set(engine.inspect_image(image_id)["RepoTags"])


@contextmanager
def nothing_of_it_left(engine, server):
    """Afterwards, nothing of a registry is on the engine."""
    yield server
    for image in engine.images(all=True):
        for name in (image["RepoTags"] or []) + (image["RepoDigests"] or []):
            # A digest goes with the last tag.
            if name.startswith(f"{server.host}/") and engine.images(name):
                engine.remove_image(name, force=True)


@pytest.fixture
def serve(engine, images, tmp_path):
    """``serve(…)``: a registry for the test alone."""
    with ExitStack() as stack:

        def started(**how):
            server = stack.enter_context(RegistryServer(tmp_path / "registry", **how))
            return stack.enter_context(nothing_of_it_left(engine, server))

        yield started


@pytest.fixture(scope="module")
def server(engine, tmp_path_factory):
    """A registry that takes everything."""
    directory = tmp_path_factory.mktemp("open") / "registry"
    with RegistryServer(directory) as server, nothing_of_it_left(engine, server):
        yield server


@pytest.fixture(scope="module")
def closed(engine, tmp_path_factory):
    """A registry that wants a password."""
    directory = tmp_path_factory.mktemp("closed") / "registry"
    with RegistryServer(directory, password=True) as server, nothing_of_it_left(engine, server):
        yield server


@pytest.fixture
def make(engine, images):
    """``make(content, reference, …)``: the ID of an image with that file, and these names."""
    ids = []

    def made(content, *references):
        content = content if isinstance(content, bytes) else content.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            member = tarfile.TarInfo("file")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        repository, _, tag = references[0].rpartition(":")
        engine.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag)
        image_id = engine.inspect_image(references[0])["Id"]
        ids.append(image_id)
        for reference in references[1:]:
            engine.tag(image_id, *reference.rpartition(":")[::2])
        return image_id

    yield made
    for image_id in ids:
        with suppress(docker.errors.ImageNotFound):
            engine.remove_image(image_id, force=True)


@pytest.fixture
def image_id(make, service):
    return make("hello", *service().references)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "cache"))


@pytest.fixture
def client_of(workspace, monkeypatch, tmp_path):
    """``client_of(host, …)``: the registry as salt-ubiq sees it, below the prefix ``team``."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))

    def made(host, pillar=None, environ=None, prefix=TEAM, **patience):
        logins = credentials({"docker-registries": pillar or {}}, {}, environ or {})
        place = f"{host}/{prefix}" if prefix else None
        return Registry(Engine(), workspace, place, logins, **patience)

    return made


@pytest.fixture
def client(client_of):
    """``client(server, …)``: the same for a server."""
    return lambda server, *args, **kwargs: client_of(server.host, *args, **kwargs)


def login(password=PASSWORD):
    return {"username": USERNAME, "password": password}


def environment(password=PASSWORD):
    return {"DOCKER_USERNAME": USERNAME, "DOCKER_PASSWORD": password}


def test_all_tags_are_pushed_with_the_digest_that_the_registry_gives(
    server, client, engine, service, repository, image_id
):
    lines = []
    pushed = client(server).push(service(), lines.append)
    name = f"{TEAM}/{repository}"
    assert server.tags(name) == {"1", "latest"}
    assert [(each.reference, each.digest, each.pushed) for each in pushed] == [
        (f"{server.host}/{name}:{tag}", server.digest(name, tag), True) for tag in ("1", "latest")
    ]
    assert server.config_id(name, "1") == image_id
    assert names_of(engine, image_id) == set(service().references)
    # Progress is told, each step once.
    assert any(line.endswith(": Pushed") for line in lines)
    assert len(set(lines)) == len(lines)


def test_the_next_push_removes_the_name_that_a_killed_one_has_left(
    server, client, engine, service, repository, make
):
    make(os.urandom(5_000_000), *service().references)

    def push_and_die():
        def note(line):
            if line.endswith(": Pushing"):
                os.kill(os.getpid(), signal.SIGKILL)

        client(server).push(service(), note)

    process = get_context("fork").Process(target=push_and_die)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    new = engine.inspect_image(service().reference)["Id"]
    assert f"{server.host}/{TEAM}/{repository}:1" in names_of(engine, new)
    client(server).push(service())
    assert names_of(engine, new) == set(service().references)


def test_a_second_push_sends_nothing(server, client, service, tmp_path, image_id):
    first = client(server).push(service())
    writes = server.writes()
    assert writes
    second = client(server).push(service())
    assert server.writes() == writes
    assert [each.pushed for each in second] == [False, False]
    assert [each.digest for each in second] == [each.digest for each in first]
    # A host that did not push it does not call it pushed.
    elsewhere = Registry(Engine(), Workspace(str(tmp_path / "other")), f"{server.host}/{TEAM}")
    third = elsewhere.push(service())
    assert [(each.digest, each.pushed) for each in third] == [
        (each.digest, False) for each in first
    ]


def test_another_image_moves_the_tag_and_one_that_went_back_is_pushed_again(
    server, client, engine, service, repository, make, image_id
):
    name = f"{TEAM}/{repository}"
    old = client(server).push(service())
    new_id = make("hello again", *service().references)
    new = client(server).push(service())
    assert server.config_id(name, "1") == new_id
    assert all(each.pushed for each in new)
    assert new[0].digest == server.digest(name, "1") != old[0].digest
    for reference in service().references:
        engine.tag(image_id, *reference.rpartition(":")[::2])
    assert all(each.pushed for each in client(server).push(service()))
    assert server.config_id(name, "1") == image_id


def test_a_repository_that_names_its_registry_goes_there(
    server, closed, client, engine, service, repository, make
):
    declared = service(f"{server.host}/{repository}", "1")
    image_id = make("hello", declared.reference)
    client(closed).push(declared)
    assert server.config_id(repository, "1") == image_id
    assert names_of(engine, image_id) == {declared.reference}
    writes = server.writes()
    assert not client(closed).push(declared)[0].pushed
    assert server.writes() == writes


def test_pushes_of_one_image_at_once_get_on(server, client, engine, service, image_id):
    registry = client(server)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: registry.push(service()), range(4)))
    assert sum(each.pushed for pushed in results for each in pushed) == 2
    assert names_of(engine, image_id) == set(service().references)


def test_a_wrong_password_is_told_of_and_never_shown(
    closed, client, engine, service, image_id, caplog
):
    caplog.set_level(logging.DEBUG)
    lines = []
    with pytest.raises(AccessDenied) as caught:
        client(closed, {closed.host: login(WRONG)}).push(service(), lines.append)
    message = str(caught.value)
    assert message.startswith(f"registry {closed.host}: ")
    assert f"check the password of '{USERNAME}' (docker-registries:{closed.host})" in message
    assert lines == []  # not tried again
    everything = "".join([*traceback.format_exception(caught.value), caplog.text, repr(caught)])
    assert WRONG not in everything
    assert names_of(engine, image_id) == set(service().references)


def test_without_a_login_the_error_says_where_to_write_it(closed, client, service, image_id):
    with pytest.raises(AccessDenied) as caught:
        client(closed).push(service())
    assert f"docker-registries:{closed.host} in pillar" in str(caught.value)
    assert "DOCKER_USERNAME and DOCKER_PASSWORD" in str(caught.value)


@pytest.mark.parametrize(
    ("pillar", "environ", "file", "works"),
    [
        (None, None, PASSWORD, True),
        (PASSWORD, WRONG, WRONG, True),
        (WRONG, PASSWORD, PASSWORD, False),
        (None, PASSWORD, WRONG, True),
        (None, WRONG, PASSWORD, False),
    ],
)
def test_pillar_comes_before_the_environment_and_that_before_the_clients_config(
    closed, client, service, image_id, tmp_path, pillar, environ, file, works
):
    (tmp_path / "docker").mkdir()
    auth = base64.b64encode(f"{USERNAME}:{file}".encode()).decode()
    config = {"auths": {closed.host: {"auth": auth}}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))
    registry = client(
        closed,
        {f"https://{closed.host}/v1/": login(pillar)} if pillar else None,
        environment(environ) if environ else None,
    )
    if works:
        assert all(each.pushed for each in registry.push(service()))
    else:
        with pytest.raises(AccessDenied):
            registry.push(service())


def test_a_registry_that_is_killed_in_a_push_and_started_again_gets_the_whole_image(
    serve, client, service, repository, make
):
    server, lines = serve(), []
    image_id = make(os.urandom(60_000_000), *service().references)

    def note(line):
        if line.endswith(": Pushing") and not any(each.endswith(": Pushing") for each in lines):
            server.kill()
        if ("sends it again" in line or "trying again" in line) and not server.runs:
            server.start()
        lines.append(line)

    pushed = client(server).push(service(), note)
    assert any("sends it again" in line or "trying again" in line for line in lines)
    name = f"{TEAM}/{repository}"
    assert server.config_id(name, "latest") == image_id
    assert pushed[0].digest == server.digest(name, "1")


def test_a_registry_that_comes_up_late_is_waited_for(serve, client, service, image_id):
    server, lines = serve(), []
    server.kill()

    def note(line):
        lines.append(line)
        if "2 of 5 attempts failed" in line:
            server.start()

    assert all(each.pushed for each in client(server, first_delay=0.1).push(service(), note))
    assert "trying again in 0.1 s (1 of 5" in lines[0]
    assert "trying again in 0.2 s (2 of 5" in lines[1]


def test_a_registry_that_is_down_is_given_up(client_of, engine, service, make):
    """Its name, or that of an image in it, may sound like an error that doesn't pass."""
    declared, lines = service(f"{IMAGES}access-denied/x509/forbidden", "1"), []
    image_id = make("hello", declared.reference)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens there
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(RegistryError) as caught:
            client_of(host, attempts=3, first_delay=0.1).push(declared, lines.append)
    assert len(lines) == 2
    message = str(caught.value)
    assert message.startswith(f"registry {host}: ")
    assert "connection refused" in message
    assert "3 attempts failed" in message
    assert names_of(engine, image_id) == set(declared.references)


HTML = "<html><body>Welcome</body></html>"
FAILURES = {
    "401 without a challenge": (lambda ask: ask.error(401, "UNAUTHORIZED"), "it wants a login"),
    "401 that can't be read": (lambda ask: ask.challenge("Bearer realm="), "see what runs at"),
    "401 of another scheme": (lambda ask: ask.challenge("Negotiate"), "it wants a login"),
    "tokens that nobody gives": (lambda ask: ask.wants_token("127.0.0.1:1"), AGAIN),
    "tokens of a service that fails": (with_token(lambda ask: ask.answer(500)), AGAIN),
    "tokens in HTML": (with_token(lambda ask: ask.answer(200, HTML)), "see what runs at"),
    "no token in the answer": (with_token(lambda ask: ask.answer(200, "{}")), "see what runs at"),
    "403": (lambda ask: ask.error(403, "DENIED", "no"), "denied: no; it wants a login"),
    "404 for a push": (lambda ask: ask.error(404, "NAME_UNKNOWN"), "name unknown"),
    "404 in HTML": (lambda ask: ask.answer(404, HTML, "text/html"), "see what runs at"),
    "429": (lambda ask: ask.error(429, "TOOMANYREQUESTS", Retry_After="3600"), AGAIN),
    "500": (lambda ask: ask.error(500, "UNKNOWN", "unknown error"), AGAIN),
    "502": (lambda ask: ask.answer(502, HTML, "text/html"), AGAIN),
    "503": (lambda ask: ask.error(503, "UNAVAILABLE"), AGAIN),
    "504": (lambda ask: ask.answer(504, HTML, "text/html"), AGAIN),
    "507": (lambda ask: ask.error(507, "UNKNOWN"), "it has no space left: remove images there"),
    "no answer": (without_farewell, AGAIN),
    "an answer that is cut off": (at_manifests(cut_off), AGAIN),
    "HTML for JSON": (lambda ask: ask.answer(200, HTML, "text/html"), "see what runs at"),
    "JSON that is cut off": (with_manifest('{"schemaVersion": 2,'), "see what runs at"),
    "another kind of content": (with_manifest("{}", "text/plain"), "see what runs at"),
    "a digest that is none": (with_manifest("{}", digest="none"), "see what runs at"),
    "a circle": (in_a_circle, "see what runs at"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failing_registry_is_told_of_in_one_line_and_asked_again_where_that_may_help(
    client_of, service, repository, image_id, kind
):
    fail, told = FAILURES[kind]
    lines, started = [], time.monotonic()
    with failing(fail) as host, pytest.raises(RegistryError) as caught:
        client_of(host, attempts=2, first_delay=0.05).push(service(), lines.append)
    message = str(caught.value)
    assert message.startswith(f"registry {host}: ")
    assert f"{host}/{TEAM}/{repository}:1" in message
    assert told in message
    assert "\n" not in message
    assert len(message) < 500
    assert len([line for line in lines if "trying again" in line]) == (told == AGAIN)
    assert time.monotonic() - started < 10


def test_a_registry_whose_answer_does_not_end_is_given_up(workspace, service, image_id):
    engine, lines = Engine(), []
    engine.client.timeout = 1
    told = pytest.raises(RegistryError, match=r"its registry has not answered in 1 s$")
    with failing(at_manifests(endless)) as host, told:
        Registry(engine, workspace, f"{host}/{TEAM}").push(service(), lines.append)
    assert lines == []


def test_a_registry_whose_name_nobody_knows_is_told_of(client_of, service, image_id):
    lines = []
    with pytest.raises(RegistryError, match=AGAIN) as caught:
        client_of("registry.invalid", attempts=2, first_delay=0.05).push(service(), lines.append)
    assert str(caught.value).startswith("registry registry.invalid: ")


def test_what_a_registry_says_of_a_missing_permission_tells_no_password(
    client_of, service, image_id
):
    def fail(ask):
        ask.error(403, "DENIED", f"{USERNAME} with '{PASSWORD}' may not do this")

    with failing(fail) as host, pytest.raises(AccessDenied) as caught:
        client_of(host, {host: login()}).push(service())
    assert "what that user may do there" in str(caught.value)
    assert f"{USERNAME} with '******'" in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_what_was_pushed_can_be_pulled(closed, client, engine, service, image_id):
    registry = client(closed, {closed.host: login()})
    registry.push(service())
    for reference in service().references:
        engine.remove_image(reference)
    pulled = registry.pull(service())
    assert pulled.id == image_id
    assert names_of(engine, image_id) == {service().reference}


def test_what_was_pulled_is_not_pushed_again(server, client, engine, service, tmp_path, image_id):
    client(server).push(service())
    for reference in service().references:
        engine.remove_image(reference)
    writes = server.writes()
    elsewhere = Registry(Engine(), Workspace(str(tmp_path / "other")), f"{server.host}/{TEAM}")
    elsewhere.pull(service())
    assert [each.pushed for each in elsewhere.push(service(tags="1"))] == [False]
    assert server.writes() == writes


def test_what_a_registry_lacks_is_not_pulled(server, client, service, image_id):
    client(server).push(service(tags="latest"))
    assert client(server).pull(service(tags="1")) is None
    assert client(server).pull(service(f"{IMAGES}never")) is None


def test_the_digest_of_any_image_can_be_asked_for(server, client, service, repository, image_id):
    [pushed] = client(server).push(service(tags="1"))
    registry = client(server, prefix=None)
    assert registry.digest(f"{server.host}/{TEAM}/{repository}:1") == pushed.digest
    assert registry.digest(f"{server.host}/{TEAM}/{repository}@{pushed.digest}") == pushed.digest
    assert registry.digest(f"{server.host}/{TEAM}/{repository}:2") is None
    assert registry.digest(f"{server.host}/{IMAGES}never:1") is None
    assert registry.digest(image_id) is None


@pytest.fixture
def outside(engine):
    """An address of this host that the engine trusts only with a certificate."""
    subnet = engine.inspect_network("bridge")["IPAM"]["Config"][0]["Subnet"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(ip_network(subnet)[2]), 9))  # sends nothing
        return probe.getsockname()[0]


def test_a_registry_with_a_certificate_is_pushed_to_and_pulled_from_once_it_is_trusted(
    serve, client, engine, service, repository, image_id, outside
):
    server, lines = serve(tls=True, password=True, address=outside), []
    registry = client(server, {f"https://{server.host}": login()})
    with pytest.raises(RegistryError) as caught:
        registry.push(service(), lines.append)
    assert f"/etc/docker/certs.d/{server.host}/ca.crt" in str(caught.value)
    assert lines == []  # told at once
    with server.trusted():
        [pushed] = registry.push(service(tags="1"))
        assert pushed.digest == server.digest(f"{TEAM}/{repository}", "1")
        for reference in service().references:
            engine.remove_image(reference)
        assert registry.pull(service()).id == image_id


def test_a_registry_without_tls_is_told_of_at_once(serve, client, service, image_id, outside):
    server, lines = serve(address=outside), []
    with pytest.raises(RegistryError, match="insecure-registries"):
        client(server).push(service(), lines.append)
    assert lines == []


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_second_engine_runs_what_the_first_has_pushed(
    base, serve, client, service, image_of, tmp_path: Path
):
    made = image_of(f'FROM {DEBIAN}\nRUN echo hello >/file\nCMD ["cat", "/file"]', "pushed")
    declared = service(made.partition(":")[0], "latest")
    with second_engine() as second:
        server = serve(tls=True, password=True, address=second.gateway)
        with server.trusted():
            client(server, {server.host: login()}).push(declared)
            other = Engine(second.url)
            registry = Registry(
                other,
                Workspace(str(tmp_path / "second")),
                f"{server.host}/{TEAM}",
                credentials({}, {}, environment()),
            )
            assert other.images.find(declared.reference) is None
            assert registry.pull(declared).id == Engine().images.existing(declared.reference).id
        containers = other.containers
        with containers.trial(declared.reference, "test-second", network_disabled=True) as started:
            containers.start(started)
            assert containers.wait(started) == 0
            assert containers.last_lines(started, 1) == ["hello"]

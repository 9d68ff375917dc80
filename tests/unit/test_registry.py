"""Names in registries, logins to them, and what is asked of an engine that talks to them."""

import logging
import traceback

import pytest

from salt_ubiq.catalogue import Service
from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import AccessDenied, EngineError, RegistryError
from salt_ubiq.registry import (
    FROM_ENVIRONMENT,
    Digests,
    Login,
    Pushed,
    Registry,
    credentials,
    host_of,
    target_of,
)
from salt_ubiq.workspace import Workspace

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.mark.parametrize(
    ("prefix", "reference", "target"),
    [
        ("registry.example.org/team", "ubiq/web:1", "registry.example.org/team/ubiq/web:1"),
        ("registry.example.org", "web:1", "registry.example.org/web:1"),
        ("https://registry.example.org/team/", "web:1", "registry.example.org/team/web:1"),
        ("localhost:5000", "ubiq/web:1", "localhost:5000/ubiq/web:1"),
        ("registry.example.org", "localhost/web:1", "localhost/web:1"),
        ("registry.example.org", "other.example.org:5000/web:1", "other.example.org:5000/web:1"),
        (None, "ubiq/web:1", "ubiq/web:1"),
        (None, "registry.example.org/web:1", "registry.example.org/web:1"),
        # As the engine calls them, lest the image's own name be taken for another.
        ("docker.io", "ubiq/web:1", "ubiq/web:1"),
        ("index.docker.io/", "web:1", "web:1"),
        ("docker.io/library", "debian:12", "debian:12"),
        ("docker.io/team", "web:1", "team/web:1"),
        ("team", "web:1", "team/web:1"),
    ],
)
def test_the_prefix_is_for_repositories_that_name_no_registry(prefix, reference, target):
    assert target_of(reference, prefix) == target


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("debian:12", "docker.io"),
        ("team/web:1", "docker.io"),
        ("docker.io/team/web:1", "docker.io"),
        ("index.docker.io/team/web:1", "docker.io"),
        ("localhost/web", "localhost"),
        ("registry:5000/web:1", "registry:5000"),
        ("Registry.example.org/web@sha256:00", "registry.example.org"),
    ],
)
def test_the_registry_of_an_image_is_found_as_docker_finds_it(reference, host):
    assert host_of(reference) == host


def declared(username, password="secret"):
    return {"username": username, "password": password}


def users(pillar, opts=None, environ=None):
    found = credentials(pillar, opts or {}, environ or {})
    return {host: login.username for host, login in found.items()}


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("registry.example.org", "registry.example.org"),
        ("https://registry.example.org/", "registry.example.org"),
        ("https://Registry.example.org/v1/", "registry.example.org"),
        ("http://127.0.0.1:5000/v2", "127.0.0.1:5000"),
        ("registry.example.org/team", "registry.example.org"),
        ("hub", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("unknown", "unknown"),
    ],
)
def test_a_registry_may_be_written_in_many_ways(address, host):
    assert users({"docker-registries": {address: declared("me")}}) == {host: "me"}


def test_all_keys_of_pillar_and_config_are_read_and_the_more_special_wins():
    pillar = {
        "team-docker-registries": {"one.example.org": declared("team")},
        "docker-registries": {name: declared("pillar") for name in ("one.example.org", "hub")},
        "docker-registries-of-others": {"two.example.org": declared("no")},
        "ubiq": {},
    }
    opts = {
        "docker-registries": {
            "https://index.docker.io/v1/": declared("config"),
            "three.example.org": declared("config"),
        }
    }
    assert users(pillar, opts) == {
        "one.example.org": "team",
        "docker.io": "config",
        "three.example.org": "config",
    }


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DOCKER_USERNAME": "me", "DOCKER_PASSWORD": "secret"}, {FROM_ENVIRONMENT: "me"}),
        ({"DOCKER_USERNAME": "me", "DOCKER_PASSWORD": ""}, {}),
        ({"DOCKER_PASSWORD": "secret"}, {}),
        ({}, {}),
    ],
)
def test_the_environments_login_needs_both_variables(environ, expected):
    assert users({}, environ=environ) == expected


def test_what_yaml_reads_as_numbers_is_text():
    login = credentials({"docker-registries": {"hub": declared(12, 3456)}}, {}, {})["docker.io"]
    assert (login.username, login.password) == ("12", "3456")


@pytest.mark.parametrize(
    ("pillar", "message"),
    [
        ({"docker-registries": ["secret"]}, r"docker-registries: write a mapping"),
        ({"a-docker-registries": {"hub": "secret"}}, r"a-docker-registries:hub: write a mapping"),
        (
            {"docker-registries": {"hub": {"password": "secret"}}},
            r"docker-registries:hub: username missing",
        ),
        (
            {"docker-registries": {"hub": {"passwd": "secret"}}},
            r"docker-registries:hub: username and password missing",
        ),
    ],
)
def test_an_incomplete_login_is_told_of_by_its_place(pillar, message):
    with pytest.raises(RegistryError, match=message) as caught:
        credentials(pillar, {}, {})
    assert "secret" not in str(caught.value)


def test_a_login_does_not_show_its_password():
    assert "secret" not in f"{Login('me', 'secret')!r} {Login('me', 'secret')}"


def image(image_id, *digests):
    return ImageInfo(image_id, {}, 1, digests=digests)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def test_digests_are_those_of_the_engine_and_those_of_earlier(workspace):
    Digests(workspace).add(A, B)
    Digests(workspace).add(A, B, C)
    known = Digests(workspace)
    assert known.of(image(A)) == {B, C}
    assert known.of(image(A, f"localhost:5000/web@{A}")) == {A, B, C}
    assert known.of(image(B)) == set()


def test_digests_of_images_that_are_gone_are_forgotten(workspace):
    known = Digests(workspace)
    known.add(A, C)
    known.add(B, C)
    known.keep({B})
    assert (known.of(image(A)), known.of(image(B))) == (set(), {C})


# Pushing and pulling


class Engine:
    """
    An engine that talks to registries.

    images
        its images by their names

    remote
        the IDs of what registries have, by name; as the digest of an image there is its ID

    fails
        what it answers first, each for one question
    """

    def __init__(self):
        self.images = {}
        self.remote = {}
        self.fails = []
        self.asked = []

    def has(self, image_id, *references):
        for reference in references:
            self.images[reference] = ImageInfo(image_id, {}, 1)

    def _ask(self, what, reference, login):
        self.asked.append((what, reference, login and login["username"]))
        if self.fails and (text := self.fails.pop(0)):
            raise EngineError(text)

    def image(self, reference):
        return self.images.get(reference)

    def existing(self, reference):
        return self.images[reference]

    def tag(self, image_id, references):
        self.has(image_id, *references)

    def remove_image(self, reference):
        return self.images.pop(reference, None) is not None

    def remote_digest(self, reference, login):
        self._ask("digest", reference, login)
        return self.remote.get(reference)

    def push(self, reference, login):
        self._ask("push", reference, login)
        self.remote[reference] = self.images[reference].id
        yield {"status": "Preparing", "id": "layer"}
        yield {"status": "Pushing", "id": "layer", "progress": "1"}
        yield {"status": "Pushing", "id": "layer", "progress": "2"}
        yield {"aux": {"Digest": self.remote[reference]}}

    def pull(self, reference, login):
        self._ask("pull", reference, login)
        self.has(self.remote[reference], reference)
        return self.images[reference]

    def did(self, what):
        return [reference for each, reference, _ in self.asked if each == what]


WEB = Service(
    name="web", path="", repository="ubiq/web", tags="1, latest", base="debian", mods=["web"]
)
HOME = "r.example:5000"
THERE = f"{HOME}/team/ubiq/web"


@pytest.fixture
def engine():
    engine = Engine()
    engine.has(A, *WEB.references)
    return engine


@pytest.fixture
def registry(engine, workspace):
    """``registry(pillar=…, environ=…, prefix=…)``: a client that waits for nothing."""

    def made(pillar=None, environ=None, prefix=f"{HOME}/team", **patience):
        logins = credentials({"docker-registries": pillar or {}}, {}, environ or {})
        return Registry(engine, workspace, prefix, logins, **{"first_delay": 0, **patience})

    return made


def test_every_tag_is_pushed_and_its_name_in_the_registry_goes(registry, engine):
    assert registry().push(WEB) == [Pushed(f"{THERE}:{tag}", A, True) for tag in ("1", "latest")]
    assert engine.did("push") == [f"{THERE}:1", f"{THERE}:latest"]
    assert set(engine.images) == set(WEB.references)


def test_a_name_in_the_registry_that_was_there_before_stays(registry, engine):
    engine.has(B, f"{THERE}:1")
    registry().push(WEB)
    assert set(engine.images) == {*WEB.references, f"{THERE}:1"}


def test_a_name_that_a_dead_push_has_left_goes(registry, engine, workspace):
    (workspace.path / "registry-names").mkdir(exist_ok=True)
    (workspace.path / "registry-names" / f"{THERE}:1".replace("/", "_")).touch()
    engine.has(B, f"{THERE}:1")
    registry().push(WEB)
    assert set(engine.images) == set(WEB.references)


def test_a_name_in_the_registry_goes_though_the_push_fails(registry, engine):
    engine.fails = ["", "can't push: denied"]  # the first time, it is asked for a digest
    with pytest.raises(AccessDenied):
        registry().push(WEB)
    assert engine.did("push")
    assert set(engine.images) == set(WEB.references)


def test_each_step_is_told_once(registry):
    lines = []
    registry().push(WEB, lines.append)
    assert lines[:3] == [
        f"{THERE}:1: layer: Preparing",
        f"{THERE}:1: layer: Pushing",
        f"{THERE}:1: {A}",
    ]


def test_what_the_registry_has_is_not_sent_again(registry, engine):
    registry().push(WEB)
    del engine.asked[:]
    lines = []
    again = registry().push(WEB, lines.append)
    assert again[0] == Pushed(f"{THERE}:1", A, False, A)
    assert engine.did("push") == []
    assert lines[0] == f"{THERE}:1: is there already"


def test_a_host_that_does_not_know_its_digest_sends_it_and_does_not_call_it_new(registry, engine):
    engine.remote = {f"{THERE}:1": A}
    first, second = registry().push(WEB)
    assert engine.did("push") == [f"{THERE}:1", f"{THERE}:latest"]
    assert (first.pushed, second.pushed) == (False, True)


def test_another_image_moves_the_tag_and_one_that_went_back_is_pushed_again(registry, engine):
    registry().push(WEB)
    engine.has(B, *WEB.references)
    assert registry().push(WEB)[0] == Pushed(f"{THERE}:1", B, True, A)
    engine.has(A, *WEB.references)
    assert registry().push(WEB)[0] == Pushed(f"{THERE}:1", A, True, B)


def test_what_would_be_pushed_is_said_with_what_is_there(registry, engine):
    assert registry().missing(WEB) == {f"{THERE}:1": None, f"{THERE}:latest": None}
    engine.remote[f"{THERE}:1"] = B
    assert registry().missing(WEB)[f"{THERE}:1"] == B
    registry().push(WEB)
    assert registry().missing(WEB) == {}


@pytest.mark.parametrize("act", ["push", "missing"])
def test_an_image_that_is_not_built_can_not_be_pushed(registry, engine, act):
    engine.images.clear()
    with pytest.raises(RegistryError, match="web: there is no ubiq/web:1: build it first"):
        getattr(registry(), act)(WEB)


@pytest.mark.parametrize("prefix", [None, f"{HOME}/team"])
def test_a_repository_that_names_its_registry_goes_there_and_keeps_its_name(
    registry, engine, prefix
):
    declared = WEB.model_copy(update={"repository": "other.example/web", "tags": ("1",)})
    engine.has(A, declared.reference)
    registry(prefix=prefix).push(declared)
    assert engine.did("push") == ["other.example/web:1"]
    assert declared.reference in engine.images


def test_an_image_is_pulled_under_its_own_first_name(registry, engine):
    engine.images.clear()
    engine.remote = {f"{THERE}:1": A, f"{THERE}:latest": A}
    pulled = registry().pull(WEB)
    assert pulled.id == A
    assert set(engine.images) == {"ubiq/web:1"}
    assert engine.did("pull") == [f"{THERE}:1"]


def test_what_a_registry_lacks_or_nobody_named_is_not_pulled(registry, engine):
    assert registry().pull(WEB) is None
    engine.remote = {"ubiq/web:1": A}
    assert registry(prefix=None).pull(WEB) is None
    assert engine.did("pull") == []


def test_an_id_has_no_digest_in_a_registry(registry, engine):
    assert registry().digest(A) is None
    assert engine.asked == []


# Logins

ENVIRONMENT = {"DOCKER_USERNAME": "environment", "DOCKER_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("pillar", "environ", "username"),
    [
        ({HOME: declared("pillar")}, None, "pillar"),
        ({HOME: declared("pillar")}, ENVIRONMENT, "pillar"),
        ({f"https://{HOME}/v1/": declared("pillar")}, ENVIRONMENT, "pillar"),
        ({"other.example": declared("pillar")}, ENVIRONMENT, "environment"),
        (None, ENVIRONMENT, "environment"),
        # the one in the client's own config, which the engine's client finds itself
        (None, None, None),
    ],
)
def test_pillar_comes_before_the_environment_and_that_before_the_clients_config(
    registry, engine, pillar, environ, username
):
    registry(pillar, environ).push(WEB)
    assert {login for _, _, login in engine.asked} == {username}


def test_the_environments_login_is_for_the_registry_of_the_catalogue_only(registry, engine):
    client = registry(environ=ENVIRONMENT)
    client.digest(f"{HOME}/any:1")
    client.digest("other.example/any:1")
    elsewhere = WEB.model_copy(update={"repository": "other.example/web"})
    engine.has(A, *elsewhere.references)
    client.push(elsewhere)
    logins = {host_of(reference): login for _, reference, login in engine.asked}
    assert logins == {HOME: "environment", "other.example": None}


# What goes wrong. The texts are those of engines.

PASSING = [
    "error parsing HTTP 500 response body: server error",
    "received unexpected HTTP status: 502 Bad Gateway",
    "received unexpected HTTP status: 503 Service Unavailable",
    "toomanyrequests: slow down",
    "unknown: unknown error",
    'Get "https://r.example/v2/": dial tcp 10.0.0.1:5000: connect: connection refused',
    'Get "https://r.example/v2/": dial tcp: lookup r.example: no such host',
    'Put "https://r.example/v2/": write tcp 10.0.0.1: connection reset by peer',
    'Head "https://r.example/v2/": EOF',
    'Get "https://r.example/v2/": net/http: TLS handshake timeout',
    "context deadline exceeded",
    "blob upload unknown",
]
DENIED = [
    "unauthorized: authentication required",
    'Head "https://r.example/v2/web/manifests/1": no basic auth credentials',
    "denied: requested access to the resource is denied",
    "error parsing HTTP 403 response body: forbidden",
    "unauthorized: incorrect username or password",
]


@pytest.mark.parametrize("text", PASSING)
def test_what_may_pass_is_tried_again_and_given_up_in_the_end(registry, engine, text):
    engine.fails = [text] * 3
    lines = []
    with pytest.raises(RegistryError) as caught:
        registry(attempts=3).push(WEB, lines.append)
    assert str(caught.value) == (
        f"registry {HOME}: {text}; 3 attempts failed: see whether it runs and can be reached"
    )
    assert not isinstance(caught.value, AccessDenied)
    assert [line.partition("; ")[2] for line in lines] == [
        "trying again in 0 s (1 of 3 attempts failed)",
        "trying again in 0 s (2 of 3 attempts failed)",
    ]


def test_each_attempt_waits_twice_as_long_as_the_one_before(registry, engine, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    engine.fails = [PASSING[0]] * 3
    assert registry(first_delay=0.5).push(WEB)[0].pushed
    assert waits == [0.5, 1, 2]


@pytest.mark.parametrize("text", DENIED)
def test_what_wants_another_login_is_not_tried_again_and_says_where_to_write_it(
    registry, engine, text
):
    engine.fails = [text]
    lines = []
    with pytest.raises(AccessDenied) as caught:
        registry().push(WEB, lines.append)
    assert str(caught.value) == (
        f"registry {HOME}: {text}; it wants a login: write username and password under "
        f"docker-registries:{HOME} in pillar, or set DOCKER_USERNAME and DOCKER_PASSWORD"
    )
    assert lines == []


WRONG = "battery staple"


def test_a_wrong_password_is_told_of_and_never_shown(registry, engine, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = declared("me", WRONG)
    engine.fails = [f"denied: me with '{WRONG}' may not do this"]
    with pytest.raises(AccessDenied) as caught:
        registry({HOME: wrong}).push(WEB)
    message = str(caught.value)
    assert message.startswith(f"registry {HOME}: denied: me with '******' may not do this; ")
    assert f"check the password of 'me' (docker-registries:{HOME})" in message
    everything = "".join([*traceback.format_exception(caught.value), caplog.text, repr(caught)])
    assert WRONG not in everything


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("x509: certificate signed by unknown authority", f"/etc/docker/certs.d/{HOME}/ca.crt"),
    ],
)
def test_what_stays_as_it_is_is_told_at_once_with_what_to_do(registry, engine, text, hint):
    engine.fails = [text]
    lines = []
    with pytest.raises(RegistryError) as caught:
        registry().push(WEB, lines.append)
    assert hint in str(caught.value)
    assert lines == []


def test_a_name_that_sounds_like_an_error_is_none(registry, engine):
    odd = WEB.model_copy(update={"repository": "access-denied/x509/forbidden", "tags": ("1",)})
    engine.has(A, odd.reference)
    there = f"{HOME}/team/{odd.reference}"
    refused = f'can\'t look up {there}: Get "https://{there}/x509": connection refused'
    engine.fails = [refused] * 2
    with pytest.raises(RegistryError, match="2 attempts failed"):
        registry(attempts=2).push(odd)


def test_a_push_whose_digest_is_not_said_is_none(registry, engine, monkeypatch):
    monkeypatch.setattr(engine, "push", lambda *_: iter([{"status": "Pushed"}]))
    with pytest.raises(RegistryError, match="the engine does not say its digest"):
        registry().push(WEB)

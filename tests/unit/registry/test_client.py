"""Pushing and pulling: what is asked of an engine that talks to registries."""

import logging
import traceback

import pytest

from salt_ubiq.catalogue.models import Service
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import AccessDenied, EngineError, RegistryError
from salt_ubiq.registry.client import Pushed, Registry
from salt_ubiq.registry.logins import credentials
from salt_ubiq.registry.names import host_of

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def declared(username, password="secret"):
    return {"username": username, "password": password}


class Engine:
    """
    An engine that talks to registries.

    tagged
        its images by their names

    remote
        the IDs of what registries have, by name; as the digest of an image there is its ID

    fails
        what it answers first, each for one question
    """

    def __init__(self):
        self.images = self
        self.tagged = {}
        self.remote = {}
        self.fails = []
        self.asked = []

    def has(self, image_id, *references):
        for reference in references:
            self.tagged[reference] = ImageInfo(image_id, {}, 1)

    def _ask(self, what, reference, login):
        self.asked.append((what, reference, login and login["username"]))
        if self.fails and (text := self.fails.pop(0)):
            raise EngineError(text)

    def find(self, reference):
        return self.tagged.get(reference)

    def existing(self, reference):
        return self.tagged[reference]

    def tag(self, image_id, references):
        self.has(image_id, *references)

    def remove(self, reference):
        return self.tagged.pop(reference, None) is not None

    def remote_digest(self, reference, login):
        self._ask("digest", reference, login)
        return self.remote.get(reference)

    def push(self, reference, login):
        self._ask("push", reference, login)
        self.remote[reference] = self.tagged[reference].id
        yield {"status": "Preparing", "id": "layer"}
        yield {"status": "Pushing", "id": "layer", "progress": "1"}
        yield {"status": "Pushing", "id": "layer", "progress": "2"}
        yield from ({"status": f"Retrying in {n} seconds", "id": "layer"} for n in (2, 1))
        yield {"aux": {"Digest": self.remote[reference]}}

    def pull(self, reference, login):
        self._ask("pull", reference, login)
        self.has(self.remote[reference], reference)
        return self.tagged[reference]

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
    assert set(engine.tagged) == set(WEB.references)


def test_a_name_in_the_registry_that_was_there_before_stays(registry, engine):
    engine.has(B, f"{THERE}:1")
    registry().push(WEB)
    assert set(engine.tagged) == {*WEB.references, f"{THERE}:1"}


def test_a_name_that_a_dead_push_has_left_goes(registry, engine, workspace):
    (workspace.path / "registry-names").mkdir(exist_ok=True)
    (workspace.path / "registry-names" / f"{THERE}:1".replace("/", "_")).touch()
    engine.has(B, f"{THERE}:1")
    registry().push(WEB)
    assert set(engine.tagged) == set(WEB.references)


def test_a_name_in_the_registry_goes_though_the_push_fails(registry, engine):
    engine.fails = ["", "can't push: denied"]  # the first time, it is asked for a digest
    with pytest.raises(AccessDenied):
        registry().push(WEB)
    assert engine.did("push")
    assert set(engine.tagged) == set(WEB.references)


def test_each_step_is_told_once(registry):
    lines = []
    registry().push(WEB, lines.append)
    assert lines[:4] == [
        f"{THERE}:1: layer: Preparing",
        f"{THERE}:1: layer: Pushing",
        f"{THERE}:1: a layer is not taken (layer): Docker sends it again",
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
    engine.tagged.clear()
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
    assert declared.reference in engine.tagged


def test_an_image_is_pulled_under_its_own_first_name(registry, engine):
    engine.tagged.clear()
    engine.remote = {f"{THERE}:1": A, f"{THERE}:latest": A}
    pulled = registry().pull(WEB)
    assert pulled.id == A
    assert set(engine.tagged) == {"ubiq/web:1"}
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


@pytest.mark.parametrize(
    "message",
    [
        {"aux": {"Digest": A}},
        {"status": f"1: digest: {A} size: 1180"},  # containerd's image store, and Podman
    ],
)
def test_a_digest_is_found_wherever_engines_say_it(registry, engine, monkeypatch, message):
    engine.has(A, *WEB.references)
    monkeypatch.setattr(engine, "push", lambda *_: iter([{"status": "Pushed"}, message]))
    assert {pushed.digest for pushed in registry().push(WEB)} == {A}


def test_a_digest_that_is_not_said_is_the_registrys(registry, engine, monkeypatch):
    def push(reference, _login):
        engine.remote[reference] = B
        yield {"status": "Pushed"}

    engine.has(A, *WEB.references)
    monkeypatch.setattr(engine, "push", push)
    assert {pushed.digest for pushed in registry().push(WEB)} == {B}


def test_a_push_after_which_the_registry_has_nothing_has_failed(registry, engine, monkeypatch):
    engine.has(A, *WEB.references)
    monkeypatch.setattr(engine, "push", lambda *_: iter([{"status": "Pushed"}]))
    with pytest.raises(RegistryError, match="the registry does not have it afterwards"):
        registry().push(WEB)

"""Names in registries, and logins to them."""

import pytest

from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import RegistryError
from salt_ubiq.registry import FROM_ENVIRONMENT, Digests, Login, credentials, host_of, target_of
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

"""Logins to registries, and where they are found."""

import pytest

from salt_ubiq.errors import RegistryError
from salt_ubiq.registry.logins import FROM_ENVIRONMENT, Login, credentials


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

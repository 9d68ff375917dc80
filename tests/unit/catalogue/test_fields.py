"""What the keys of a declaration accept."""

import pytest
import yaml
from saltext.dockermod.utils.dockermod.translate.container import ALIASES

from salt_ubiq.catalogue.fields import _RESERVED
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import brief
from tests.unit.catalogue.declared import base, mistakes, mistakes_of_web, web


@pytest.mark.parametrize(
    "repository",
    ["web", "ubiquitous/web", "registry.example.org:5000/a/b", "localhost/web", "a_b/c.d--e__f"],
)
def test_repositories_that_docker_takes(repository):
    assert web(repository=repository).reference == f"{repository}:latest"


# YAML's numbers


def test_whole_numbers_of_yaml_become_text():
    declared = yaml.safe_load("tags: [12]\nconfig: {env: {PORT: 80}, user: 33, cmd: [sleep, 60]}")
    image = web(**declared)
    assert image.tags == ("12",)
    assert (image.config.env, image.config.user) == ({"PORT": "80"}, "33")
    assert image.config.cmd == ("sleep", "60")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tags: [1.10]", "tags:0"),
        ("config: {env: {VERSION: 1.10}}", "config:env:VERSION"),
        ("config: {labels: {version: 1.10}}", "config:labels:version"),
        ("config: {cmd: [sleep, 1.10]}", "config:cmd:1"),
    ],
)
def test_a_decimal_number_of_yaml_has_to_be_quoted(text, path):
    message = "1.1 is a number in YAML, which drops digits: write it in quotes"
    assert mistakes_of_web(**yaml.safe_load(text)) == [f"{path}: {message}"]


@pytest.mark.parametrize("text", ["tags: [yes]", "config: {env: {DEBUG: on}}"])
def test_a_boolean_of_yaml_is_not_taken_for_text(text):
    (problem,) = mistakes_of_web(**yaml.safe_load(text))
    assert problem.endswith(": write text, not true or false")


# Forms that a person writes


def test_names_may_be_separated_by_commas():
    image = web(mods="admin, web,", extra_filerefs="salt://a,salt://b")
    assert image.mods == ("admin", "web")
    assert image.extra_filerefs == ("salt://a", "salt://b")


def test_one_tag_may_be_written_without_a_list():
    assert web(tags="stable").tags == ("stable",)


def test_tags_may_be_separated_by_commas():
    assert web(tags="12,stable").tags == ("12", "stable")


def test_a_single_number_is_a_tag():
    assert web(tags=12).tags == ("12",)


def test_a_command_as_a_string_is_run_by_the_shell():
    config = web(config={"cmd": "nginx -t && nginx", "entrypoint": ["/init"]}).config
    assert config.cmd == ("/bin/sh", "-c", "nginx -t && nginx")
    assert config.entrypoint == ("/init",)


def test_an_empty_command_is_not_the_same_as_none():
    config = web(config={"cmd": []}).config
    assert config.cmd == ()
    assert config.entrypoint is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [(80, "80/tcp"), ("80", "80/tcp"), ("53/udp", "53/udp"), ("65535/sctp", "65535/sctp")],
)
def test_a_port_without_a_protocol_is_tcp(written, meant):
    assert web(config={"exposed_ports": [written]}).config.exposed_ports == (meant,)


@pytest.mark.parametrize("port", [0, 65536, "80/http", "http", "8000-8010", "-1"])
def test_what_is_not_a_port_is_refused(port):
    assert mistakes_of_web(config={"exposed_ports": [port]}) == [
        f"config:exposed_ports:0: '{port}' is not a port: write 80, 80/tcp or 53/udp"
    ]


@pytest.mark.parametrize(
    "repository",
    ["ubiquitous/web:1", "ubiquitous/Web", "-web", "a//b", "a/", "a b", "a___b", "web@sha256"],
)
def test_a_repository_that_docker_refuses(repository):
    (problem,) = mistakes_of_web(repository=repository)
    assert problem.startswith(f"repository: Docker refuses '{repository}' as a repository: ")


def test_capital_letters_without_a_registry_are_refused_as_docker_does():
    (problem,) = mistakes_of_web(repository="Ubiquitous/web")
    assert problem.startswith("repository: Docker refuses 'Ubiquitous/web' as a repository: ")


def test_a_repository_too_long_for_docker_is_refused():
    (problem,) = mistakes_of_web(repository="a" * 256)
    assert problem.startswith("repository: ")


@pytest.mark.parametrize("repository", ["salt-ubiq.local/build", "salt-ubiq.local/shared"])
def test_a_repository_of_builds_is_nobody_elses(repository):
    assert mistakes_of_web(repository=repository) == [
        "repository: salt-ubiq.local is where builds keep images of their own: take another host"
    ]


@pytest.mark.parametrize("tag", [".1", "-1", "a b", "a:b", "é", "a" * 129])
def test_a_tag_that_docker_refuses(tag):
    (problem,) = mistakes_of_web(tags=["ok", tag])
    assert problem.startswith(f"tags:1: Docker refuses '{brief(tag)}' as a tag: ")


@pytest.mark.parametrize("key", ["volumes", "working_dir"])
def test_paths_of_the_image_are_absolute(key):
    value = "srv/www" if key == "working_dir" else ["srv/www"]
    (problem,) = mistakes_of_web(config={key: value})
    assert problem.endswith(": 'srv/www' is not an absolute path")


def test_a_dockerfile_is_a_url_or_an_absolute_directory():
    assert mistakes({"bases": {"debian": base(dockerfile="docker/debian")}}) == [
        "ubiq:bases:debian:dockerfile: "
        "'docker/debian' is neither a salt:// URL nor an absolute directory"
    ]
    assert parse({"bases": {"debian": base(dockerfile="salt://debian")}})["debian"]


def test_a_file_reference_is_a_salt_url():
    assert mistakes_of_web(extra_filerefs=["salt://a", "/b"]) == [
        "extra_filerefs:1: '/b' is not a salt:// URL"
    ]


@pytest.mark.parametrize("timeout", [0, -1, "1h", float("inf")])
def test_a_timeout_is_a_number_of_seconds_that_ends(timeout):
    (problem,) = mistakes_of_web(timeout=timeout)
    assert problem.startswith("timeout: ")


def test_what_the_build_sets_itself_is_no_argument_of_the_container():
    assert mistakes_of_web(build={"stop_timeout": 1, "entrypoint": "a", "binds": []}) == [
        "build: entrypoint, stop_timeout: set by the build itself, remove it"
    ]


# What Docker or a file system can't take


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("timeout: 1000000000000", "timeout: write a number up to 3.1536e+07"),
        ("retries: 9223372036854775808", "retries: write a number up to 1000"),
        ("config: {healthcheck: {test: []}}", "config:healthcheck:test: must not be empty"),
        (
            "config: {healthcheck: {test: x, interval: 1.0e+300}}",
            "config:healthcheck:interval: write a number up to 3.1536e+07",
        ),
        (
            "config: {healthcheck: {test: x, interval: 0.00001}}",
            "config:healthcheck:interval: write a number from 0.001",
        ),
        ("build: {environment: [A=b]}", "build: environment: write a mapping of names to values"),
        ("build: {environment: null}", "build: environment: write a mapping of names to values"),
        (
            "build: {bnids: []}",
            "build: bnids: docker.create has no such argument (did you mean 'binds'?)",
        ),
        (
            "config: {stop_signal: SIGFOO}",
            "config:stop_signal: 'SIGFOO' is not a signal: write one as SIGTERM, or its number",
        ),
        ("config: {volumes: [/]}", "config:volumes:0: / itself can't be a volume"),
        ("config: {env: {A=B: c}}", "config:env:A=B: the name of a variable has no ="),
        ("config: {entrypoint: ''}", "config:entrypoint: must not be empty: write [] for none"),
        ('config: {user: "a\\0b"}', "config:user: has a NUL character, which no text of Docker's"),
        ("mods: !!binary YQ==", "mods: write a list, not binary data"),
    ],
)
def test_what_would_fail_later_is_refused_with_its_place(declared, told):
    (problem,) = mistakes_of_web(**yaml.safe_load(declared))
    assert problem.startswith(told)


@pytest.mark.parametrize("stop_signal", ["SIGRTMIN+3", "quit", 15, "SIGWINCH"])
def test_a_stop_signal_is_any_that_docker_knows(stop_signal):
    assert web(config={"stop_signal": stop_signal}).config.stop_signal == str(stop_signal)


# Arguments of the container, under their other names


@pytest.mark.parametrize("key", sorted({*ALIASES, *ALIASES.values()} & _RESERVED))
def test_what_a_build_sets_itself_is_refused_under_all_names(key):
    assert mistakes_of_web(build={key: "x"}) == [
        f"build: {key}: set by the build itself, remove it"
    ]


def test_every_name_of_a_reserved_argument_is_reserved():
    for alias, argument in ALIASES.items():
        assert (alias in _RESERVED) == (argument in _RESERVED), alias


def test_variables_are_given_under_one_name():
    assert mistakes_of_web(build={"env": ["TOKEN=x"]}) == [
        "build: env: write environment, a mapping, which is given to the states"
    ]

"""The finished image's config."""

import pytest

from salt_ubiq.builds.image_config import image_config
from salt_ubiq.catalogue.models import ImageConfig

PARENT = {
    "Hostname": "",
    "Entrypoint": ["/entry"],
    "Cmd": ["serve"],
    "Env": ["PATH=/usr/bin:/bin", "LANG=C", "EMPTY=", "OPTIONS=a=b"],
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
    "User": "www-data",
    "WorkingDir": "/srv",
    "Labels": {"maintainer": "somebody", "org.salt-ubiq.image": "debian"},
    "StopSignal": "SIGQUIT",
    "Healthcheck": {"Test": ["CMD", "true"]},
    "Shell": ["/bin/bash", "-c"],
    "OnBuild": None,
}
OURS = {"org.salt-ubiq.image": "web"}


def config_of(parent=PARENT, ours=OURS, **declared):
    return image_config(ImageConfig(**declared), parent, ours)


def test_what_the_catalogue_leaves_open_is_as_the_parent_has_it():
    expected = {key: PARENT[key] for key in PARENT if key not in ("Hostname", "OnBuild")}
    expected["Labels"] = {"maintainer": "somebody", "org.salt-ubiq.image": "web"}
    assert config_of() == expected


def test_a_parent_without_any_config_gives_none():
    assert config_of(parent={}, ours={}) == {}


@pytest.mark.parametrize(
    ("declared", "key", "value"),
    [
        ({"cmd": ["nginx"]}, "Cmd", ["nginx"]),
        ({"user": "root"}, "User", "root"),
        ({"working_dir": "/"}, "WorkingDir", "/"),
        ({"stop_signal": "SIGTERM"}, "StopSignal", "SIGTERM"),
    ],
)
def test_the_catalogue_goes_over_the_parent(declared, key, value):
    assert config_of(**declared) == {**config_of(), key: value}


def test_an_entrypoint_of_its_own_drops_the_parents_command():
    config = config_of(entrypoint=["/init"])
    assert config["Entrypoint"] == ["/init"]
    assert "Cmd" not in config


def test_an_entrypoint_of_its_own_keeps_a_command_of_its_own():
    config = config_of(entrypoint=["/init"], cmd=["nginx"])
    assert (config["Entrypoint"], config["Cmd"]) == (["/init"], ["nginx"])


def test_a_command_of_its_own_keeps_the_parents_entrypoint():
    config = config_of(cmd=["nginx"])
    assert (config["Entrypoint"], config["Cmd"]) == (["/entry"], ["nginx"])


@pytest.mark.parametrize(
    ("declared", "absent"),
    [({"cmd": []}, ["Cmd"]), ({"entrypoint": []}, ["Entrypoint", "Cmd"])],
)
def test_an_empty_list_takes_away_what_the_parent_has(declared, absent):
    config = config_of(**declared)
    assert config == {key: value for key, value in config_of().items() if key not in absent}


def test_a_command_as_a_string_is_run_by_the_shell():
    assert config_of(cmd="exec nginx")["Cmd"] == ["/bin/sh", "-c", "exec nginx"]


def test_variables_are_added_to_the_parents_and_replace_those_of_their_name():
    assert config_of(env={"LANG": "C.UTF-8", "NEW": "1=2"})["Env"] == [
        "PATH=/usr/bin:/bin",
        "LANG=C.UTF-8",
        "EMPTY=",
        "OPTIONS=a=b",
        "NEW=1=2",
    ]


def test_ports_and_volumes_are_added_to_the_parents():
    config = config_of(exposed_ports=["443", "80/tcp"], volumes=["/cache", "/data"])
    assert config["ExposedPorts"] == {"80/tcp": {}, "443/tcp": {}}
    assert config["Volumes"] == {"/data": {}, "/cache": {}}


def test_ports_and_volumes_of_the_parent_may_be_null():
    config = config_of(parent={"ExposedPorts": None, "Volumes": None, "Env": None, "Labels": None})
    assert config == {"Labels": OURS}


def test_our_labels_go_over_the_catalogues_and_those_over_the_parents():
    declared = {"maintainer": "us", "org.salt-ubiq.image": "forged", "more": "1"}
    assert config_of(labels=declared)["Labels"] == {
        "maintainer": "us",
        "org.salt-ubiq.image": "web",
        "more": "1",
    }


def test_the_parents_config_stays_as_it_was():
    before = repr(PARENT)
    config_of(env={"A": "b"}, labels={"a": "b"}, volumes=["/x"], exposed_ports=["1"])
    assert repr(PARENT) == before


def test_times_of_a_healthcheck_are_in_nanoseconds():
    check = {
        "test": ["curl", "-f", "localhost"],
        "interval": 30,
        "timeout": 0.5,
        "start_period": 5,
        "retries": 3,
    }
    assert config_of(healthcheck=check)["Healthcheck"] == {
        "Test": ["CMD", "curl", "-f", "localhost"],
        "Interval": 30_000_000_000,
        "Timeout": 500_000_000,
        "StartPeriod": 5_000_000_000,
        "Retries": 3,
    }


def test_a_healthcheck_as_a_string_is_dockers_shell_form_and_has_dockers_own_times():
    assert config_of(healthcheck={"test": "curl -f localhost || exit 1"})["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl -f localhost || exit 1"]
    }


def test_a_healthcheck_of_its_own_has_nothing_of_the_parents():
    """Committing fills in the parent's times where none are given."""
    parents = {"Test": ["CMD", "x"], "Interval": 7, "StartPeriod": 8, "Retries": 9}
    config = config_of(parent={"Healthcheck": parents}, healthcheck={"test": ["a"], "retries": 2})
    assert config["Healthcheck"] == {
        "Test": ["CMD", "a"],
        "Interval": 30_000_000_000,
        "StartPeriod": 1_000_000,
        "Retries": 2,
    }

"""The finished image's config, and what is removed from the container."""

import os

import pytest

from salt_ubiq.catalogue import ImageConfig
from salt_ubiq.finish import Residue, image_config, swept

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


# Residue


class Container:
    """The part of a build's client that sees and changes the container's files."""

    def __init__(self, *paths):
        self.paths = paths
        self.swept = set()
        self.calls = 0

    def python(self, _script, what, *arguments, given=b""):
        self.calls += 1
        if what == "list":
            found = [path for path in self.paths if path.startswith(arguments)]
            return b"".join(os.fsencode(path) + b"\0" for path in found)
        size, *directories = arguments
        assert int(size) == len(given)
        kept = {os.fsdecode(path) for path in given.split(b"\0")}
        below = {path for path in self.paths if path.startswith(tuple(directories))}
        self.swept = below - kept
        return b""


def removed(parent, salt, states):
    """What is removed of the states' paths where a parent has some, and Salt others."""
    residue = Residue.between(swept(Container(*parent)), swept(Container(*parent, *salt)))
    after = Container(*parent, *salt, *states)
    residue.remove(after)
    return after.swept


def test_one_command_in_the_container_does_where_salt_writes_nothing():
    client = Container("/var/cache/apt")
    Residue.between(swept(client), swept(client)).remove(client)
    assert client.calls == 3


def test_only_what_the_build_added_to_caches_is_removed():
    old, new = "/var/lib/apt/lists/old", "/var/lib/apt/lists/new"
    directories = ["/var/lib/apt/lists", "/var/cache/apt"]
    assert removed([*directories, old], [], [new, "/srv/new"]) == {new}


@pytest.mark.parametrize("name", ["evil\n", "\u0085", "\u2028", "\udcff", "a b ' \" * $(c)"])
def test_a_name_is_any_bytes(name):
    old, new = f"/var/cache/apt/{name}/srv", f"/var/cache/apt/{name}/new"
    assert removed([old], [], [new]) == {new}


SALTS_OWN = ["/etc/salt", "/etc/salt/minion_id", "/var/cache/salt"]


def test_what_salt_writes_by_running_is_removed():
    assert removed([], SALTS_OWN, []) == {*SALTS_OWN}


def test_a_directory_of_salt_that_a_state_has_added_to_stays():
    assert removed([], SALTS_OWN, ["/etc/salt/minion"]) == {"/var/cache/salt"}


def test_what_the_parent_has_in_a_directory_of_salt_stays():
    assert removed(["/etc/salt"], ["/etc/salt/minion_id"], []) == {"/etc/salt/minion_id"}


def test_where_salt_writes_nothing_its_directories_are_the_states():
    assert removed([], [], ["/etc/salt", "/etc/salt/minion"]) == set()

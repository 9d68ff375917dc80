"""The finished image's config, and what is removed from the container."""

import pytest

from salt_ubiq.catalogue import ImageConfig
from salt_ubiq.container import Output
from salt_ubiq.finish import Residue, image_config

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


# Residue

ADDED = 1


class Container:
    """The part of a build's client that sees and changes the container's files."""

    name = "build"

    def __init__(self, cached=(), added=(), has_find=True):
        self.cached = cached
        self.added = added
        self.removed = []
        self._find = Output("\n".join(cached), "", 1) if has_find else Output("", "", 127)

    def diff(self, name):
        assert name == self.name
        return [{"Path": path, "Kind": ADDED} for path in self.added] or None

    def execute(self, command):
        if command[0] == "find":
            return self._find
        assert command[:3] == ["rm", "-rf", "--"]
        self.removed += command[3:]
        return Output("", "", 0)


def removed_after(before, after):
    Residue.found(before).remove(after)
    return after.removed


def test_an_untouched_container_runs_no_command():
    assert removed_after(Container(), Container()) == []


def test_only_what_the_build_added_to_caches_is_removed():
    old, new = "/var/lib/apt/lists/old", "/var/lib/apt/lists/new"
    assert removed_after(Container([old]), Container([old, new])) == [new]


def test_of_an_added_directory_only_the_top_is_named():
    cached = ["/root/.cache/pip/http", "/root/.cache/pip/http/a", "/root/.cache/pip/http/b"]
    assert removed_after(Container(), Container(cached)) == ["/root/.cache/pip/http"]


def test_without_find_the_engine_is_asked_what_was_added():
    added = ["/var/cache/apt/pkgcache.bin", "/usr/sbin/nginx"]
    after = Container(added=added, has_find=False)
    assert removed_after(Container(has_find=False), after) == ["/var/cache/apt/pkgcache.bin"]


SALTS_OWN = ["/etc/salt", "/etc/salt/minion_id", "/var/cache/salt"]


def test_what_salt_writes_by_running_is_removed():
    removed = removed_after(Container(added=SALTS_OWN), Container(added=SALTS_OWN))
    assert removed == ["/etc/salt", "/var/cache/salt"]


def test_a_directory_of_salt_that_a_state_has_added_to_stays():
    after = Container(added=[*SALTS_OWN, "/etc/salt/minion"])
    assert removed_after(Container(added=SALTS_OWN), after) == ["/var/cache/salt"]


def test_where_salt_writes_nothing_its_directories_are_the_states():
    after = Container(added=["/etc/salt", "/etc/salt/minion"])
    assert removed_after(Container(), after) == []

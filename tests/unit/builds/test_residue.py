"""What is removed from a build's container, and what stays."""

import os

import pytest

from salt_ubiq.builds.residue import Residue, swept


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

"""Locks and slots among processes."""

import logging
import multiprocessing
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from salt_ubiq.catalogue.references import mistake_in
from salt_ubiq.workspace.slots import Workspace

# A forked process would inherit the locks that this one holds.
PROCESSES = multiprocessing.get_context("spawn")
SOON = 0.3
LATE = 20


def hold_lock(cachedir, name, started, held, release, shared=False):
    workspace = Workspace(cachedir)
    started.set()
    with workspace.lock(name, shared=shared):
        held.set()
        release.wait(LATE)


def hold_slot(cachedir, _, started, held, release):
    started.set()
    with Workspace(cachedir).slot():
        held.set()
        release.wait(LATE)


hold_shared_lock = partial(hold_lock, shared=True)


class Other:
    """Another process that holds something."""

    def __init__(self, target, cachedir, name=""):
        self._started, self.held, self._release = (PROCESSES.Event() for _ in range(3))
        events = (self._started, self.held, self._release)
        self._process = PROCESSES.Process(target=target, args=(str(cachedir), name, *events))
        self._process.start()
        assert self._started.wait(LATE)

    def kill(self):
        self._process.kill()
        self._process.join()

    def end(self):
        self._release.set()
        self._process.join(LATE)
        assert self._process.exitcode == 0


@contextmanager
def other(target, cachedir, name=""):
    process = Other(target, cachedir, name)
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def numbers(slots):
    return [slot.cachedir.parent.name for slot in slots]


# Locks


def test_who_shares_a_lock_keeps_out_who_wants_it_alone(workspace, tmp_path):
    with (
        workspace.lock("at-work", shared=True),
        other(hold_shared_lock, tmp_path, "at-work") as sharing,
        other(hold_lock, tmp_path, "at-work") as alone,
    ):
        assert sharing.held.wait(LATE)
        assert not alone.held.wait(SOON)


def test_a_lock_is_taken_only_if_it_is_free(workspace, tmp_path):
    with workspace.lock_if_free("at-work") as got:
        assert got
        with workspace.lock_if_free("at-work") as again:
            assert not again
        with other(hold_shared_lock, tmp_path, "at-work") as waiting:
            assert not waiting.held.wait(SOON)
    with other(hold_shared_lock, tmp_path, "at-work") as process:
        assert process.held.wait(LATE)
        with workspace.lock_if_free("at-work") as got:
            assert not got


def test_a_lock_keeps_other_processes_from_it_and_from_no_other_lock(workspace, tmp_path):
    with other(hold_lock, tmp_path, "web") as process:
        assert process.held.wait(LATE)
        with other(hold_lock, tmp_path, "web") as second, other(hold_lock, tmp_path, "db") as third:
            assert third.held.wait(LATE)
            assert not second.held.wait(SOON)


def test_who_waits_for_a_lock_gets_it_when_it_is_released(workspace, tmp_path):
    with workspace.lock("web"):
        process = Other(hold_lock, tmp_path, "web")
        assert not process.held.wait(SOON)
    assert process.held.wait(LATE)
    process.end()


def test_a_killed_process_leaves_no_lock_behind(workspace, tmp_path):
    with other(hold_lock, tmp_path, "web") as process:
        assert process.held.wait(LATE)
        process.kill()
        with workspace.lock("web", "waiting"):
            pass


def test_who_has_to_wait_says_so(workspace, caplog):
    caplog.set_level(logging.INFO)

    def wait():
        with workspace.lock("web", "web: waiting"):
            pass

    with workspace.lock("web", "not logged"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(SOON)
        assert thread.is_alive()
    thread.join(LATE)
    assert caplog.messages == ["web: waiting"]


def test_a_lock_is_released_when_what_it_guards_fails(workspace, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError, match="failed"), workspace.lock("web"):
        raise ValueError("failed")
    with workspace.lock("web", "waiting"):
        assert caplog.messages == []


# Slots


def test_a_second_process_gets_another_slot(workspace, tmp_path):
    with other(hold_slot, tmp_path) as process:
        assert process.held.wait(LATE)
        with workspace.slot() as second, workspace.slot() as third:
            assert numbers([second, third]) == ["1", "2"]
            assert len({second.name, third.name}) == 2
            assert second.cachedir.is_dir()


def test_a_slot_of_a_killed_process_is_free_again(workspace, tmp_path):
    with other(hold_slot, tmp_path) as process:
        assert process.held.wait(LATE)
        process.kill()
        with workspace.slot() as slot:
            assert numbers([slot]) == ["0"]


def test_free_slots_are_those_that_were_made_and_nobody_has(workspace, tmp_path):
    with workspace.free_slots() as slots:
        assert slots == []
    with other(hold_slot, tmp_path) as process:
        assert process.held.wait(LATE)
        with workspace.slot():
            pass
        with workspace.free_slots() as slots:
            assert numbers(slots) == ["1"]
        process.kill()
        with workspace.free_slots() as slots:
            assert numbers(slots) == ["0", "1"]


def test_nobody_gets_a_slot_that_is_being_cleaned(workspace):
    with workspace.slot():
        pass
    with workspace.free_slots() as cleaned, workspace.slot() as slot:
        assert numbers(cleaned) == ["0"]
        assert numbers([slot]) == ["1"]


def test_a_slot_is_free_after_its_build(workspace):
    with workspace.slot() as first:
        pass
    with workspace.slot() as second:
        assert second == first


# Names and files


def test_slots_of_one_workspace_keep_their_names_and_those_of_another_differ(tmp_path):
    def name(directory):
        with Workspace(str(tmp_path / directory)).slot() as slot:
            return slot.name

    assert name("one") == name("one")
    assert name("one") != name("two")


def test_the_private_reference_of_a_slot_is_one_that_docker_takes(workspace):
    with workspace.slot() as slot:
        assert mistake_in(slot.reference, []) == ""


def test_the_log_of_a_repository_is_a_file_in_the_workspace(workspace, tmp_path):
    log = workspace.log_of("registry.example.org/team/web")
    log.write_text("built")
    assert log.parent == tmp_path / "ubiq" / "logs"
    assert log.name == "registry.example.org_team_web.log"

"""Ending what states have started; nothing on this host is told to end."""

import signal
import socket
import subprocess
import sys

import pytest
import stop


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """The signals, in the place of sending them."""
    told = []
    monkeypatch.setattr(stop, "tell", told.append)
    monkeypatch.setattr(stop, "remove_traces", lambda top: told.append(f"clean {top}"))
    monkeypatch.setattr(stop, "PATIENCE", 0.2)
    monkeypatch.setattr(stop, "started", [])
    return told


@pytest.fixture
def own(monkeypatch):
    """The processes are those of a container of a build."""
    monkeypatch.setattr(stop, "is_first", lambda pid: pid == 1)


def test_where_nothing_runs_nothing_is_done(monkeypatch, own, told):
    monkeypatch.setattr(stop, "others", dict)
    assert stop.stop_all() == []
    assert told == []


def test_what_ends_when_it_is_told_to_is_not_killed(monkeypatch, own, told):
    left = [{7: "daemon"}, {7: "daemon"}, {}]
    monkeypatch.setattr(stop, "others", lambda: left.pop(0) if len(left) > 1 else left[0])
    assert stop.stop_all() == []
    assert told == [signal.SIGTERM, signal.SIGKILL, "clean /run"]


def test_what_does_not_end_is_killed_and_named(monkeypatch, own, told):
    monkeypatch.setattr(stop, "others", lambda: {7: "stubborn", 8: "stubborn", 9: "deaf"})
    assert stop.stop_all() == ["deaf", "stubborn"]
    assert told[0] == signal.SIGTERM
    assert signal.SIGKILL in told


def test_processes_that_are_not_the_containers_alone_are_left_alone(monkeypatch, told):
    """Here, process 1 is this host's own."""
    monkeypatch.setattr(stop, "others", lambda: {7: "somebody's"})
    assert stop.stop_all() == []
    assert told == []
    stop.started.append("no-such-service")
    assert stop.stop_all() == []
    assert told == ["clean /run"]


def test_services_are_stopped_by_their_scripts_the_last_first(monkeypatch, own, told):
    monkeypatch.setattr(stop, "others", dict)
    monkeypatch.setattr(stop.os, "access", lambda path, _: path != "/etc/init.d/gone")
    ran = []
    monkeypatch.setattr(stop.subprocess, "run", lambda command, **_: ran.append(command))
    stop.started[:] = ["db", "gone", "web"]
    stop.stop_all()
    assert ran == [["/etc/init.d/web", "stop"], ["/etc/init.d/db", "stop"]]


@pytest.mark.parametrize("error", [OSError, subprocess.TimeoutExpired("x", 1)])
def test_a_script_that_does_not_stop_it_stops_no_other(monkeypatch, own, told, error):
    monkeypatch.setattr(stop, "others", dict)
    monkeypatch.setattr(stop.os, "access", lambda *_: True)
    ran = []

    def run(command, **_):
        ran.append(command[0])
        raise error

    monkeypatch.setattr(stop.subprocess, "run", run)
    stop.started[:] = ["db", "web"]
    stop.stop_all()
    assert len(ran) == 2


def test_others_are_neither_this_process_nor_the_containers_own():
    script = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script]) as daemon:
        with subprocess.Popen(["sh", "-c", "sleep infinity & wait"]) as first:
            found = stop.others()
            alike = stop.is_first(first.pid)
            subprocess.run(["pkill", "-P", str(first.pid)], check=True)
            first.kill()
        daemon.kill()
    assert daemon.pid in found
    assert first.pid not in found
    assert alike
    assert not {1, stop.os.getpid(), stop.os.getppid()} & set(found)


def test_a_process_that_has_ended_and_waits_to_be_noticed_does_not_run():
    zombie = subprocess.Popen(["true"])
    try:
        stop.os.waitid(stop.os.P_PID, zombie.pid, stop.os.WEXITED | stop.os.WNOWAIT)
        assert zombie.pid not in stop.others()
    finally:
        zombie.wait()


def test_pid_files_and_sockets_are_removed_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    for name in ("daemon.pid", "below/pid", "below/state", "below/daemon.pid.d", "rapid"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("7\n")
    (tmp_path / "dir.pid").mkdir()
    (tmp_path / "link.pid").symlink_to("below/state")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("below/sock")
    stop.remove_traces(str(tmp_path))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"below", "below/state", "below/daemon.pid.d", "rapid", "dir.pid", "link.pid"}

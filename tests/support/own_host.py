"""
This process as a host of its own: its own network, mounts and Docker engine.

Test processes side by side can then use the same names, addresses and files, and look at all
that an engine has. The engine is where anybody looks for one. It begins with what another
process has saved (``tests/support/first_images.py``), and is all in memory. What a test has left
there ends with the process, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.dockerd import Dockerd
from tests.support.repository import REPOSITORY

_PROGRAMS = ("dockerd", "ip", "setpriv", "slirp4netns", "unshare")
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_PR_SET_PDEATHSIG = 1
_SOCKET = "unix:///var/run/docker.sock"
# No systemd is reached; and all containers of all engines would have one process's share of CPU.
_OPTIONS = ("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/")
DATA = Path("/var/lib/docker")
# What an engine, or a test, writes where any other on this machine would look.
_OWN = ("/run", "/etc/docker", str(DATA))


def end_with_parent() -> None:
    """Have this process end at once when its parent does, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def why_not() -> str:
    """Why tests use the engine that anybody on this machine would use, ``""`` if they don't."""
    if "DOCKER_HOST" in os.environ:
        return "DOCKER_HOST names an engine"
    if os.geteuid() != 0:
        return "an engine for tests alone needs root"
    missing = [each for each in _PROGRAMS if not shutil.which(each)]
    return f"an engine for tests alone needs {', '.join(missing)}" if missing else ""


def become() -> Dockerd:
    """Make this process, and all that it starts, a host of its own; return its engine."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, str(os.getpid())],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is not for it
    )
    assert keeper.stdin and keeper.stdout
    keeper.stdout.readline()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    _run("mount", "--make-rprivate", "/")
    for place in _OWN:
        Path(place).mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=755,size=90%", "tests", place)
    _run("ip", "link", "set", "lo", "up")
    keeper.stdin.write(b"\n")
    keeper.stdin.flush()
    assert keeper.stdout.readline() == b"connected\n", "slirp4netns has failed"
    directory = Path("/run/engine")
    directory.mkdir()
    return Dockerd(_SOCKET, directory, _OPTIONS)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _keep(pid: int) -> None:
    """From outside: connect a process's network, and end what is in it when the process ends."""
    here = _network_of("self")
    process = os.pidfd_open(pid)
    print(flush=True)
    if not sys.stdin.readline():
        return
    network = _network_of(pid)
    assert network != here
    ready, told = os.pipe()
    with tempfile.TemporaryFile() as log, subprocess.Popen(
        [
            *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"),
            *(f"--ready-fd={told}", str(pid), "tap0"),
        ],
        pass_fds=[told],
        stdout=log,
        stderr=log,
    ) as slirp4netns:  # fmt: skip
        os.close(told)
        if os.read(ready, 1):
            print("connected", flush=True)
            select.select([process], [], [])
        while _kill_all(network):
            pass
        slirp4netns.kill()


def _network_of(pid: int | str) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def _kill_all(network: str) -> bool:
    """Kill what is in a network; whether there was anything."""
    found = False
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and _network_of(entry.name) == network:
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
        except OSError:  # it has ended
            continue
    return found


if __name__ == "__main__":
    _keep(int(sys.argv[1]))

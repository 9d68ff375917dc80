"""Another Docker engine on this machine, in a network of its own."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import docker.errors

# Networks that are for tests alone (RFC 2544).
_NETWORKS = ipaddress.ip_network("198.18.0.0/15")
_BITS = 30
_SECONDS_TO_START = 120


class SecondEngine:
    """
    url
        of its API

    gateway
        the address that this host has for it
    """

    def __init__(self, directory: Path, namespace: str, gateway: str) -> None:
        self.gateway = gateway
        self.url = f"unix://{directory}/socket"
        self._directory = directory
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what it had when it was killed, and wait until it answers."""
        directory = self._directory
        # The IDs of processes in there are those of others by now.
        (directory / "pid").unlink(missing_ok=True)
        shutil.rmtree(directory / "exec", ignore_errors=True)
        command = [
            *("unshare", "--mount", "--propagation", "private"),
            *("--pid", "--fork", "--kill-child", "--mount-proc"),
            *("nsenter", f"--net=/run/netns/{self._namespace}"),
            *("dockerd", "--host", self.url, "--bridge", "none", "--iptables=false"),
            *("--pidfile", f"{directory}/pid"),
            *("--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
        ]
        log = directory / "log"
        with log.open("a") as handle:
            self._process = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)
        _wait_for(self.url, self._process, log)

    def kill(self) -> None:
        """End it at once, and all its containers."""
        if self._process:
            self._process.kill()
            self._process.wait()


def why_not() -> str:
    """Why this host can't have a second engine, ``""`` if it can."""
    if os.geteuid() != 0:
        return "a second engine needs root"
    missing = [each for each in ("ip", "unshare", "nsenter", "dockerd") if not shutil.which(each)]
    return f"a second engine needs {', '.join(missing)}" if missing else ""


@contextmanager
def second_engine() -> Iterator[SecondEngine]:
    """
    An engine that shares nothing with the first.

    It has its own network namespace, since in that of the first it would delete docker0,
    and its own mounts and processes, so that nothing of it is left when it is killed.
    """
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="second-engine-"))
        stack.callback(shutil.rmtree, directory)
        engine = SecondEngine(directory, *stack.enter_context(_network()))
        stack.callback(engine.kill)
        engine.start()
        yield engine


@contextmanager
def _network() -> Iterator[tuple[str, str]]:
    """A network namespace, and a cable into it; yields its name and the address on this end."""
    gateway, inside = (str(host) for host in _free_network().hosts())
    name = f"salt-ubiq-{os.getpid()}"
    here, there = f"su{os.getpid()}a", f"su{os.getpid()}b"
    with ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        stack.callback(_ip, "link", "delete", here)
        _ip("address", "add", f"{gateway}/{_BITS}", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "address", "add", f"{inside}/{_BITS}", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield name, gateway


def _free_network() -> ipaddress.IPv4Network:
    """One that no interface is in, not even one that killed tests have left."""
    listed = subprocess.run(["ip", "-json", "address"], check=True, capture_output=True)
    taken = {
        ipaddress.ip_address(address["local"])
        for interface in json.loads(listed.stdout)
        for address in interface["addr_info"]
    }
    networks = list(_NETWORKS.subnets(new_prefix=_BITS))
    random.shuffle(networks)
    return next(each for each in networks if not any(address in each for address in taken))


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            docker.APIClient(base_url=url, version="auto").close()
            return
        except docker.errors.DockerException:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)

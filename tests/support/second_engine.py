"""Another Docker engine on this machine, in a network of its own."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.dockerd import Dockerd

# Networks that are for tests alone (RFC 2544).
_NETWORKS = ipaddress.ip_network("198.18.0.0/15")
_BITS = 30


@dataclass(frozen=True)
class SecondEngine:
    """
    engine
        the engine

    gateway
        the address that this host has for it
    """

    engine: Dockerd
    gateway: str

    @property
    def url(self) -> str:
        """The address of its API."""
        return self.engine.url


def why_not() -> str:
    """Why this host can't have a second engine, ``""`` if it can."""
    if os.geteuid() != 0:
        return "a second engine needs root"
    missing = [
        each
        for each in ("ip", "setpriv", "unshare", "nsenter", "dockerd")
        if not shutil.which(each)
    ]
    return f"a second engine needs {', '.join(missing)}" if missing else ""


@contextmanager
def second_engine() -> Iterator[SecondEngine]:
    """
    An engine that shares nothing with the first.

    It has its own network namespace, since in that of the first it would delete docker0,
    and its own mounts and processes, so that nothing of it is left when it is killed.
    """
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="second-engine-", dir="/run"))
        stack.callback(shutil.rmtree, directory)
        namespace, gateway = stack.enter_context(_network())
        engine = Dockerd(
            f"unix://{directory}/socket",
            directory,
            ["--bridge", "none", "--iptables=false", "--data-root", f"{directory}/data"],
            within=["nsenter", f"--net=/run/netns/{namespace}"],
        )
        stack.callback(engine.kill)
        engine.start()
        yield SecondEngine(engine, gateway)


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


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)

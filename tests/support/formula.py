"""A small state tree in the manner of public formulas, and a minion that applies it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import docker

from tests.conftest import Host

TREE = Path(__file__).with_name("formula")
MODS = ("web", "parts.*")
# Of the host's config, for config.get.
CONFIG = {"flavour": "vanilla"}
# Where a minion's container has what this host has.
_THERE = "/mnt"
_COMPARED = ("etc/", "srv/", "usr/", "var/lib/", "home/")
# What the engine makes, and what is another each time, or no matter to whoever runs the image.
_NOT_COMPARED = (
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "var/lib/apt/lists",
    "var/lib/apt/extended_states",
)
# Salt's own module for services of Debian calls them; no slim image has them.
_PROGRAMS = {
    "runlevel": "#!/bin/sh\necho N 2\n",
    "insserv": '#!/bin/sh\nexec update-rc.d "$1" defaults\n',
}
_APPLY = """
salt() {
    /dev/salt-ubiq/runtime/bin/python3 /dev/salt-ubiq/runtime/salt_call.py /tmp/minion \
        --local --config-dir /mnt/config --retcode-passthrough "$@"
}
salt saltutil.sync_all && salt state.apply MODS && /etc/init.d/ubiq-probe stop
"""


def set_up(host: Host) -> None:
    """Let the host have the tree in two roots, and its config; modes are as they are in Git."""
    shutil.copytree(TREE / "states", host.states, dirs_exist_ok=True, symlinks=True)
    shared = host.states.with_name("shared")
    shutil.copytree(TREE / "shared", shared)
    (host.states / "web" / "tree" / "hollow").mkdir()
    for path, mode in {
        "files/default/run.sh": 0o755,
        "tree/one": 0o640,
        "tree/below/two": 0o750,
    }.items():
        (host.states / "web" / path).chmod(mode)
    (host.states / "web" / "tree" / "link").symlink_to("one")
    host.opts |= {"file_roots": {"base": [str(host.states), str(shared)]}, **CONFIG}


def applied_by_a_minion(
    engine: docker.APIClient, host: Host, image: str, runtime: str
) -> dict[str, Any]:
    """What a container of the image has in which a minion has applied the states."""
    top = host.states.parent
    (top / "config").mkdir()
    (top / "bin").mkdir()
    for name, text in _PROGRAMS.items():
        (top / "bin" / name).write_text(text)
        (top / "bin" / name).chmod(0o755)
    config = {
        "id": "host",
        "root_dir": "/tmp/minion",
        "file_client": "local",
        "file_roots": {"base": [f"{_THERE}/states", f"{_THERE}/shared"]},
        "pillar_roots": {"base": [f"{_THERE}/pillar"]},
        "enable_fqdns_grains": False,
        **CONFIG,
    }
    (top / "config" / "minion").write_text(json.dumps(config))
    binds = [f"{runtime}:/dev/salt-ubiq/runtime:ro"]
    binds += [
        f"{top / name}:{_THERE}/{name}:ro"
        for name in ("states", "shared", "pillar", "config", "bin")
    ]
    variables = dict(each.split("=", 1) for each in engine.inspect_image(image)["Config"]["Env"])
    container = engine.create_container(
        image,
        ["sh", "-c", _APPLY.replace("MODS", ",".join(MODS))],
        hostname="ubiq-build",
        environment={"PATH": f"{variables['PATH']}:{_THERE}/bin"},
        host_config=engine.create_host_config(binds=binds),
    )["Id"]
    try:
        engine.start(container)
        status = engine.wait(container)["StatusCode"]
        assert status == 0, engine.logs(container).decode()
        return contents(engine, container)
    finally:
        engine.remove_container(container, v=True, force=True)


def contents_of_image(engine: docker.APIClient, image: str) -> dict[str, Any]:
    """What an image has."""
    container = engine.create_container(image, ["true"])["Id"]
    try:
        return contents(engine, container)
    finally:
        engine.remove_container(container, v=True)


def contents(engine: docker.APIClient, container: str) -> dict[str, Any]:
    """What is to be compared of a container: kind, mode, owner, and contents, by path."""
    found = {}
    exported = io.BytesIO(b"".join(engine.export(container)))
    with tarfile.open(fileobj=exported) as tar:
        for each in tar:
            if not each.name.startswith(_COMPARED) or each.name.startswith(_NOT_COMPARED):
                continue
            data = tar.extractfile(each) if each.isreg() else None
            digest = hashlib.sha256(data.read()).hexdigest() if data else None
            owner = (each.uid, each.gid)
            found[each.name] = (each.type, f"{each.mode:o}", owner, each.linkname, digest)
    return found

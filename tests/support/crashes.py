"""Killing builds at one exact moment, and what is never to be seen afterwards."""

from __future__ import annotations

import os
import signal

from tests.conftest import IMAGES, build_leftovers, images_of_tests
from tests.support.building import building
from tests.support.waiting import LONGEST

WEB, APP = f"{IMAGES}web", f"{IMAGES}app"
TAGS = ["1", "latest"]
CMD = ["cat", "/srv/page"]
MOMENTS = ("before", "during", "after")
CONVERGED = "seeing whether the states have converged"
# What a client is stopped at while it builds a service whose parent is known.
REQUESTS = {
    "making the container": (rb"POST \S+/containers/create", 1),
    "starting the container": (rb"POST \S+/containers/\w+/start", 1),
    "sending the states": (rb"POST \S+/exec/\w+/start", 1),
    "applying the states": (rb"POST \S+/exec/\w+/start", 2),
    "looking for residue": (rb"POST \S+/exec/\w+/start", 3),
    "committing": (rb"POST \S+/commit", 1),
    CONVERGED: (rb"POST \S+/containers/create", 2),
    "verifying": (rb"POST \S+/containers/create", 2),
    "moving the first tag": (rb"POST \S+/images/\S+/tag", 1),
    "moving the second tag": (rb"POST \S+/images/\S+/tag", 2),
}


def declare(host, *repositories, **more):
    services = {
        f"test-{repository.removeprefix(IMAGES)}": {
            "repository": repository,
            "tags": TAGS,
            "base": "test-base",
            "mods": ["common", "page"],
            "config": {"cmd": CMD, "labels": {"of": repository}},
            "verify": [{"cmd": "test -s /srv/page"}],
        }
        for repository in repositories
    }
    write_common(host, "common")
    host.catalogue(**services, **more)


def write(host, text):
    host.file("page.sls", f"/srv/page:\n  file.managed:\n    - contents: {text}\n")


def write_common(host, text):
    host.file("common.sls", f"/srv/common:\n  file.managed:\n    - contents: {text}\n")


def kill_at(request, moment, host, gate, *call):
    """Call a function of ``ubiq_docker``, and kill it at one moment of a request."""
    host.opts["docker.url"] = gate.url
    with (
        gate.stopping(*request, moment) as reached,
        building(host, *call) as process,
    ):
        assert reached.wait(LONGEST)
        os.killpg(process.pid, signal.SIGKILL)
    del host.opts["docker.url"]
    assert process.exitcode == -signal.SIGKILL


def ids(engine, repository=WEB):
    return [engine.inspect_image(f"{repository}:{tag}")["Id"] for tag in TAGS]


def all_ids(engine):
    return {image["Id"] for image in images_of_tests(engine)}


def unused_volumes(engine):
    """Those that no container has; other builds on the engine have theirs in use."""
    return {volume["Name"] for volume in engine.volumes({"dangling": True})["Volumes"] or ()}


def left_on_disk(host):
    """What of builds is to be in a slot only while one is at work there."""
    slots = host.cachedir / "ubiq" / "slots"
    return [path for name in ("tmp", "pillar") for path in slots.glob(f"*/{name}")]


def see_that_nothing_is_left(host, engine, volumes):
    workspace = (host.cachedir / "ubiq" / "id").read_text()
    assert build_leftovers(engine, workspace) == []
    assert unused_volumes(engine) - volumes == set()
    assert left_on_disk(host) == []

"""A build of a base is killed: tags are old or new, nothing is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event

import pytest

from tests.conftest import BASE, IMAGES
from tests.support.building import building, wait_for_container
from tests.support.crashes import (
    CMD,
    MOMENTS,
    TAGS,
    WEB,
    all_ids,
    ids,
    kill_at,
    see_that_nothing_is_left,
    unused_volumes,
)
from tests.support.failing_registry import failing
from tests.support.waiting import LONGEST

# What a client is stopped at while it builds a base.
REQUESTS = {
    "sending the context": (rb"POST \S+/build", 1),
    "verifying": (rb"POST \S+/containers/create", 1),
    "moving the first tag": (rb"POST \S+/images/\S+/tag", 1),
}


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_killed_build_of_a_base_leaves_old_tags_or_new(host, engine, run_in, gate, request_):
    base = {"repository": WEB, "tags": TAGS, "dockerfile": "salt://small"}
    host.pillar({"ubiq": {"bases": {"test-small": {**base, "verify": [{"file": "/srv/page"}]}}}})

    def write_dockerfile(text):
        host.file("small/Dockerfile", f"FROM {BASE}\nRUN echo {text} > /srv/page\n")

    write_dockerfile("first")
    host.call("ubiq_docker.build_base", "test-small")
    images, volumes, tagged = all_ids(engine), unused_volumes(engine), set()
    for moment in MOMENTS:
        old = {*ids(engine)}
        write_dockerfile(moment)
        kill_at(REQUESTS[request_], moment, host, gate, "ubiq_docker.build_base", "test-small")
        for image in {*ids(engine)} - old:
            assert request_.startswith("moving")
            assert run_in(image, *CMD) == moment
        tagged |= {*ids(engine)}
    built = host.call("ubiq_docker.build_base", "test-small")
    assert ids(engine) == [built["id"]] * len(TAGS)
    assert run_in(built["id"], *CMD) == "after"
    steps = {step["Id"] for image in (built["id"], *tagged) for step in engine.history(image)}
    assert all_ids(engine) - images <= steps
    see_that_nothing_is_left(host, engine, volumes)


def test_a_killed_docker_build_leaves_the_old_base(host, engine):
    volumes = unused_volumes(engine)
    base = {"repository": WEB, "tags": TAGS, "dockerfile": "salt://small"}
    host.pillar({"ubiq": {"bases": {"test-small": base}}})

    def write_dockerfile(last):
        host.file("small/Dockerfile", f"FROM {BASE}\nRUN touch /srv/one\nRUN {last}\n")

    write_dockerfile("touch /srv/two")
    old = host.call("ubiq_docker.build_base", "test-small")["id"]
    images = all_ids(engine)
    write_dockerfile("sleep 300")
    with building(host, "ubiq_docker.build_base", "test-small") as process:
        wait_for_container(engine, process, "sleep 300")
        os.killpg(process.pid, signal.SIGKILL)
    assert ids(engine) == [old] * len(TAGS)

    write_dockerfile("touch /srv/three")
    built = host.call("ubiq_docker.build_base", "test-small")
    assert ids(engine) == [built["id"]] * len(TAGS)
    steps = {step["Id"] for step in engine.history(built["id"])}
    assert all_ids(engine) - images <= steps
    assert not any("sleep 300" in each["Command"] for each in engine.containers(all=True))
    see_that_nothing_is_left(host, engine, volumes)


def test_a_killed_bootstrap_leaves_no_image_and_nothing_of_its_mirrors_password(host, engine):
    volumes, images, asked = unused_volumes(engine), all_ids(engine), Event()
    temporary = set(Path("/tmp").iterdir())
    made = f"{IMAGES}bootstrapped:12"
    base = {"repository": WEB, "tags": TAGS, "dockerfile": "salt://small"}

    def wait(request):
        asked.set()
        request.over.wait()

    host.file("small/Dockerfile", f"FROM {made}\n")
    with failing(wait) as mirror:
        url = f"http://team:battery-staple@{mirror}/debian"
        bootstrap = {"image": made, "suite": "bookworm", "variant": "extract", "mirror": url}
        host.pillar({"ubiq": {"bases": {"test-small": {**base, "bootstrap": bootstrap}}}})
        with building(host, "ubiq_docker.build_base", "test-small") as process:
            assert asked.wait(LONGEST)
            os.killpg(process.pid, signal.SIGKILL)
    assert all_ids(engine) == images
    host.file("small/Dockerfile", f"FROM {BASE}\n")
    host.pillar({"ubiq": {"bases": {"test-small": base}}})
    host.call("ubiq_docker.build_base", "test-small")
    see_that_nothing_is_left(host, engine, volumes)
    assert set(Path("/tmp").glob("mmdebstrap*")) - temporary == set()
    files = (path for path in host.cachedir.rglob("*") if path.is_file())
    assert not [path for path in files if b"battery-staple" in path.read_bytes()]

"""A build of a base is killed: tags are old or new, nothing is left."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import BASE
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

"""Whatever is killed when: tags are old or new, nothing is left, and the next build succeeds."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing

import docker
import pytest

from tests.building import building, error, wait_for_container
from tests.conftest import BASE, IMAGES, build_leftovers, images_of_tests, shared_layers
from tests.gate import Gate
from tests.second_engine import second_engine, why_not
from tests.waiting import LONGEST

WEB, APP = f"{IMAGES}web", f"{IMAGES}app"
TAGS = ["1", "latest"]
CMD = ["cat", "/srv/page"]
MOMENTS = ("before", "during", "after")
# What a client is stopped at while it builds a service whose parent is known.
REQUESTS = {
    "making the container": (rb"POST \S+/containers/create", 1),
    "starting the container": (rb"POST \S+/containers/\w+/start", 1),
    "sending the states": (rb"POST \S+/exec/\w+/start", 1),
    "applying the states": (rb"POST \S+/exec/\w+/start", 2),
    "looking for residue": (rb"POST \S+/exec/\w+/start", 3),
    "committing": (rb"POST \S+/commit", 1),
    "seeing whether the states have converged": (rb"POST \S+/containers/create", 2),
    "verifying": (rb"POST \S+/containers/create", 3),
    "moving the first tag": (rb"POST \S+/images/\S+/tag", 1),
    "moving the second tag": (rb"POST \S+/images/\S+/tag", 2),
}
# The same while it makes a layer, before all of these.
LAYER_REQUESTS = {
    "applying the layer's states": (rb"POST \S+/exec/\w+/start", 2),
    "committing the layer": (rb"POST \S+/commit", 1),
    "naming the layer": (rb"POST \S+/images/\S+/tag", 1),
    "making a container on the layer": (rb"POST \S+/containers/create", 2),
}
# What a client is stopped at while it builds a base.
BASE_REQUESTS = {
    "sending the context": (rb"POST \S+/build", 1),
    "verifying": (rb"POST \S+/containers/create", 1),
    "moving the first tag": (rb"POST \S+/images/\S+/tag", 1),
}
ROUNDS = 20


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


@pytest.fixture
def gate(tmp_path):
    with closing(Gate(tmp_path)) as gate:
        yield gate


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_killed_build_of_a_service_leaves_old_tags_or_new(host, engine, run_in, gate, request_):
    declare(host, WEB)
    write(host, "first")
    old = host.call("ubiq_docker.build_service", "test-web")["id"]
    for moment in MOMENTS:
        images, volumes = all_ids(engine), unused_volumes(engine)
        write(host, moment)
        kill_at(REQUESTS[request_], moment, host, gate, "ubiq_docker.build_service", "test-web")
        for image in {*ids(engine)} - {old}:
            assert request_.startswith("moving")
            assert engine.inspect_image(image)["Config"]["Cmd"] == CMD
            assert run_in(image, *CMD) == moment
        after_kill = ids(engine)
        built = host.call("ubiq_docker.build_service", "test-web")
        assert ids(engine) == [built["id"]] * len(TAGS)
        assert run_in(built["id"], *CMD) == moment
        assert all_ids(engine) - images <= {built["id"], *after_kill}
        see_that_nothing_is_left(host, engine, volumes)
        old = built["id"]


@pytest.mark.parametrize("request_", LAYER_REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_build_that_is_killed_while_it_makes_a_layer_leaves_a_whole_one_or_none(
    host, engine, run_in, gate, request_
):
    declare(host, WEB, APP)
    write(host, "page")
    host.call("ubiq_docker.build_all")
    for moment in MOMENTS:
        images, volumes = all_ids(engine), unused_volumes(engine)
        old, old_layers = ids(engine), shared_layers(engine).keys()
        write_common(host, moment)
        kill_at(
            LAYER_REQUESTS[request_], moment, host, gate, "ubiq_docker.build_service", "test-web"
        )
        assert ids(engine) == old
        for layer in shared_layers(engine).keys() - old_layers:
            assert run_in(layer, "cat", "/srv/common") == moment

        results = host.call("ubiq_docker.build_all")
        assert {each["action"] for each in results.values()} == {"built", "up-to-date"}
        (layer,) = shared_layers(engine).keys() - old_layers
        built = {results[name]["id"] for name in ("test-web", "test-app")}
        for image in built:
            assert engine.inspect_image(image)["Parent"] == layer
            assert run_in(image, "cat", "/srv/common") == moment
        assert all_ids(engine) - images == {layer, *built}
        see_that_nothing_is_left(host, engine, volumes)


@pytest.mark.parametrize("request_", BASE_REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_killed_build_of_a_base_leaves_old_tags_or_new(host, engine, run_in, gate, request_):
    base = {"repository": WEB, "tags": TAGS, "dockerfile": "salt://small"}
    host.pillar({"ubiq": {"bases": {"test-small": {**base, "verify": [{"file": "/srv/page"}]}}}})

    def write_dockerfile(text):
        host.file("small/Dockerfile", f"FROM {BASE}\nRUN echo {text} > /srv/page\n")

    write_dockerfile("first")
    old = host.call("ubiq_docker.build_base", "test-small")["id"]
    for moment in MOMENTS:
        images, volumes = all_ids(engine), unused_volumes(engine)
        write_dockerfile(moment)
        kill_at(BASE_REQUESTS[request_], moment, host, gate, "ubiq_docker.build_base", "test-small")
        for image in {*ids(engine)} - {old}:
            assert request_.startswith("moving")
            assert run_in(image, *CMD) == moment
        after_kill = ids(engine)
        built = host.call("ubiq_docker.build_base", "test-small")
        assert ids(engine) == [built["id"]] * len(TAGS)
        assert run_in(built["id"], *CMD) == moment
        steps = {
            step["Id"] for image in (built["id"], *after_kill) for step in engine.history(image)
        }
        assert all_ids(engine) - images <= steps
        see_that_nothing_is_left(host, engine, volumes)
        old = built["id"]


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


def test_runs_that_are_killed_at_any_time_leave_nothing_and_lose_nothing(host, engine, run_in):
    declare(host, WEB, APP)
    repositories = {WEB, APP}
    write(host, "first")
    host.call("ubiq_docker.build_all")
    volumes, texts, longest = unused_volumes(engine), {"first"}, 0.0
    seed = time.time_ns()
    print(f"the seed is {seed}")
    chance = random.Random(seed)
    for number in range(ROUNDS):
        texts.add(f"round-{number}")
        write(host, f"round-{number}")
        if chance.random() < 0.5:
            write_common(host, f"round-{number}")  # so that a layer is made, too
        started = time.monotonic()
        with building(host, "ubiq_docker.build_all") as process:
            # The first goes to its end, and says how long it takes.
            process.join(chance.uniform(0, longest) if number else None)
        longest = longest or time.monotonic() - started
        for repository in repositories:
            for image in ids(engine, repository):
                config = engine.inspect_image(image)["Config"]
                assert config["Cmd"] == CMD
                assert config["Labels"]["of"] == repository
                assert run_in(image, *CMD) in texts
    write(host, "last")
    results = host.call("ubiq_docker.build_all")
    assert {result["error"] for result in results.values()} == {None}
    for repository in repositories:
        (image,) = {*ids(engine, repository)}
        assert run_in(image, *CMD) == "last"
    see_that_nothing_is_left(host, engine, volumes)
    host.call("ubiq_docker.prune", "images", "shared")
    kept = {ids(engine, repository)[0] for repository in repositories}
    of_them = {
        each["Id"]
        for each in images_of_tests(engine)
        if each["Labels"]["org.salt-ubiq.image"] in ("test-web", "test-app")
    }
    assert of_them == kept


@pytest.fixture(scope="module")
def other(base, engine):
    """A second engine, which has the base."""
    with second_engine() as second:
        client = docker.APIClient(base_url=second.url, version="auto")
        client.load_image(b"".join(engine.get_image(BASE)))
        client.close()
        yield second


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_build_whose_engine_is_stopped_leaves_old_tags_or_new(host, other, tmp_path, request_):
    pattern, nth = REQUESTS[request_]
    engine = docker.APIClient(base_url=other.url, version="auto")
    with closing(Gate(tmp_path, other.url)) as gate, closing(engine):
        host.opts["docker.url"] = gate.url
        declare(host, WEB, runtime={"image": BASE})
        write(host, request_.replace(" ", "-"))
        host.call("ubiq_docker.build_service", "test-web")
        old, volumes = ids(engine), unused_volumes(engine)
        write(host, "new")
        with building(host, "ubiq_docker.build_service", "test-web") as process:
            with gate.stopping(pattern, nth, "during") as reached:
                assert reached.wait(LONGEST)
                other.engine.kill()
            process.join(LONGEST)
        other.engine.start()
        assert process.exitcode == 0
        assert "engine" in error(host).read_text()
        assert [*{*ids(engine)} - {*old}] == [] or request_.startswith("moving")
        built = host.call("ubiq_docker.build_service", "test-web")
        assert ids(engine) == [built["id"]] * len(TAGS)
        see_that_nothing_is_left(host, engine, volumes)

"""A build of a service is killed at every request: tags are old or new, nothing is left."""

from __future__ import annotations

from contextlib import suppress

import docker.errors
import pytest

from tests.support.crashes import (
    CMD,
    CONVERGED,
    MOMENTS,
    REQUESTS,
    TAGS,
    WEB,
    all_ids,
    declare,
    ids,
    kill_at,
    see_that_nothing_is_left,
    unused_volumes,
    write,
)

# What else than its states it may be at, and what makes it so.
ASKS = "/srv/page:\n  file.managed:\n    - contents: {{ salt['file.file_exists']('/srv') }}\n"
FAILS = "/srv/page:\n  test.fail_without_changes: []\n"
BESIDE = {
    "asking a new parent for its grains": ((rb"POST \S+/exec/\w+/start", 2), None),
    "answering what states ask": ((rb"POST \S+/exec/\w+/start", 1), ASKS),
    "keeping what has failed": ((rb"POST \S+/commit", 1), FAILS),
}


@pytest.fixture(scope="module")
def web(module_host):
    """A host with a service that is built; each test leaves it built and up to date."""
    declare(module_host, WEB)
    write(module_host, "first")
    module_host.call("ubiq_docker.build_service", "test-web")
    return module_host


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_killed_build_of_a_service_leaves_old_tags_or_new(web, engine, run_in, gate, request_):
    declare(web, WEB, defaults={"converged": request_ == CONVERGED})
    images, volumes = all_ids(engine), unused_volumes(engine)
    tagged = {*ids(engine)}
    for moment in MOMENTS:
        old = {*ids(engine)}
        write(web, f"{moment} {request_}")
        kill_at(REQUESTS[request_], moment, web, gate, "ubiq_docker.build_service", "test-web")
        for image in {*ids(engine)} - old:
            assert request_.startswith("moving")
            assert engine.inspect_image(image)["Config"]["Cmd"] == CMD
            assert run_in(image, *CMD) == f"{moment} {request_}"
        tagged |= {*ids(engine)}
    built = web.call("ubiq_docker.build_service", "test-web")
    assert ids(engine) == [built["id"]] * len(TAGS)
    assert run_in(built["id"], *CMD) == f"after {request_}"
    assert all_ids(engine) - images <= {built["id"], *tagged}
    see_that_nothing_is_left(web, engine, volumes)


@pytest.mark.parametrize("what", BESIDE, ids=lambda name: name.replace(" ", "-"))
def test_a_build_that_is_killed_beside_its_states_leaves_the_old_tags(web, engine, gate, what):
    declare(web, WEB, defaults={"keep_failed": True})
    old, volumes = ids(engine), unused_volumes(engine)
    request_, states = BESIDE[what]
    if states:
        web.file("page.sls", states)
    else:
        for facts in (web.cachedir / "ubiq" / "parents").iterdir():
            facts.unlink()
        write(web, what)
    kill_at(request_, "during", web, gate, "ubiq_docker.build_service", "test-web")
    assert ids(engine) == old
    write(web, f"after {what}")
    built = web.call("ubiq_docker.build_service", "test-web")
    assert ids(engine) == [built["id"]] * len(TAGS)
    see_that_nothing_is_left(web, engine, volumes)
    with suppress(docker.errors.ImageNotFound):
        engine.remove_image(f"{WEB}:failed")  # it is kept until the next that fails

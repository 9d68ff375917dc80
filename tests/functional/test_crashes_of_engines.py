"""The engine is killed at every request: tags are old or new, nothing is left."""

from __future__ import annotations

from contextlib import closing

import docker
import pytest

from tests.conftest import BASE
from tests.support.building import building, error
from tests.support.crashes import (
    CONVERGED,
    REQUESTS,
    TAGS,
    WEB,
    declare,
    ids,
    see_that_nothing_is_left,
    unused_volumes,
    write,
)
from tests.support.gate import Gate
from tests.support.second_engine import second_engine, why_not
from tests.support.waiting import LONGEST


@pytest.fixture(scope="module")
def other(base, engine):
    """A second engine, which has the base."""
    with second_engine() as second:
        client = docker.APIClient(base_url=second.url, version="auto")
        client.load_image(b"".join(engine.get_image(BASE)))
        client.close()
        yield second


@pytest.fixture(scope="module")
def stoppable(other, module_host):
    """A host whose second engine has a service's image; each test leaves it up to date."""
    module_host.opts["docker.url"] = other.url
    declare(module_host, WEB, runtime={"image": BASE})
    write(module_host, "first")
    module_host.call("ubiq_docker.build_service", "test-web")
    yield module_host
    del module_host.opts["docker.url"]


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_build_whose_engine_is_stopped_leaves_old_tags_or_new(
    stoppable, other, tmp_path, request_
):
    host, (pattern, nth) = stoppable, REQUESTS[request_]
    engine = docker.APIClient(base_url=other.url, version="auto")
    with closing(Gate(tmp_path, other.url)) as gate, closing(engine):
        host.opts["docker.url"] = gate.url
        converged = {"converged": request_ == CONVERGED}
        declare(host, WEB, runtime={"image": BASE}, defaults=converged)
        old, volumes = ids(engine), unused_volumes(engine)
        write(host, request_)
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

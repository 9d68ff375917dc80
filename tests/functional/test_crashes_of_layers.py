"""A build is killed while it makes a shared layer: there is a whole one afterwards, or none."""

from __future__ import annotations

import pytest

from tests.conftest import shared_layers
from tests.support.crashes import (
    APP,
    MOMENTS,
    WEB,
    all_ids,
    declare,
    ids,
    kill_at,
    see_that_nothing_is_left,
    unused_volumes,
    write,
    write_common,
)

# What a client is stopped at while it makes a layer.
REQUESTS = {
    "applying the layer's states": (rb"POST \S+/exec/\w+/start", 2),
    "committing the layer": (rb"POST \S+/commit", 1),
    "naming the layer": (rb"POST \S+/images/\S+/tag", 1),
    "making a container on the layer": (rb"POST \S+/containers/create", 2),
}


@pytest.fixture(scope="module")
def sharing(module_host):
    """A host with two services that share a layer, built; each test leaves them so."""
    declare(module_host, WEB, APP)
    write(module_host, "page")
    module_host.call("ubiq_docker.build_all")
    return module_host


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_build_that_is_killed_while_it_makes_a_layer_leaves_a_whole_one_or_none(
    sharing, engine, run_in, gate, request_
):
    images, volumes = all_ids(engine), unused_volumes(engine)
    old, layers = ids(engine), shared_layers(engine).keys()
    whole = set()
    for moment in MOMENTS:
        text, before = f"{moment} {request_}", shared_layers(engine).keys()
        write_common(sharing, text)
        call = ("ubiq_docker.build_service", "test-web")
        kill_at(REQUESTS[request_], moment, sharing, gate, *call)
        assert ids(engine) == old
        for layer in shared_layers(engine).keys() - before:
            assert run_in(layer, "cat", "/srv/common") == text
            whole.add(layer)

    results = sharing.call("ubiq_docker.build_all")
    assert {each["action"] for each in results.values()} == {"built", "up-to-date"}
    built = {results[name]["id"] for name in ("test-web", "test-app")}
    (layer,) = {engine.inspect_image(image)["Parent"] for image in built}
    assert layer in shared_layers(engine).keys() - layers
    for image in built:
        assert run_in(image, "cat", "/srv/common") == text
    assert all_ids(engine) - images == {layer, *whole, *built}
    see_that_nothing_is_left(sharing, engine, volumes)

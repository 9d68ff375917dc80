"""Runs are killed at random: nothing is left, nothing lost."""

from __future__ import annotations

import random
import time

from tests.conftest import images_of_tests
from tests.support.building import building
from tests.support.crashes import (
    APP,
    CMD,
    WEB,
    declare,
    ids,
    see_that_nothing_is_left,
    unused_volumes,
    write,
    write_common,
)

ROUNDS = 10


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

"""Runs last: one of the two minions is gone afterwards."""

from __future__ import annotations

from contextlib import suppress

import docker.errors
import psutil

from tests.integration.daemons.conftest import OTHER, service
from tests.integration.daemons.test_on_minions import build_all, results_of
from tests.support.waiting import until


def test_a_minion_that_dies_fails_its_image_with_a_clear_word(daemons, master, minions, engine):
    daemons.state("one.sls", "/srv/one:\n  file.managed\n")
    daemons.state("slow.sls", "sleep 90:\n  cmd.run: []\n")
    daemons.pillar(
        bases={"test-other": OTHER},
        **{
            "test-a": service("a", mods=["one"]),
            "test-slow": service("slow", "test-other"),
        },
    )
    slow = {"label": "org.salt-ubiq.image=test-slow"}

    def sleeps():
        assert process.poll() is None, process.communicate()
        processes = []
        for found in engine.containers(filters=slow):
            with suppress(docker.errors.APIError):  # it has just ended: of grains, another follows
                processes += engine.top(found["Id"], "-o pid,args")["Processes"] or ()
        return any(row[-1].endswith("sleep 90") for row in processes)

    process = build_all(master, "test-slow", "test-a")
    until(sleeps)
    (victim,) = (each for each in minions if _builds(daemons, each))
    for child in psutil.Process(victim.pid).children(recursive=True):
        child.kill()
    victim.terminate()
    results = results_of(process)
    assert process.returncode == 1
    assert results["test-a"]["action"] == "built"
    assert results["test-slow"]["action"] == "failed"
    assert results["test-slow"]["error"] == f"minion {victim.id} does not answer any more"
    # What it left is removed by the next build of its workspace; here, by hand.
    for found in engine.containers(all=True, filters=slow):
        engine.remove_container(found["Id"], v=True, force=True)


def _builds(daemons, minion):
    running = daemons.call_of(minion.id, "saltutil.running")
    return any(job["arg"][:1] == ["test-slow"] for job in running or ())

"""Runs on two real minions of a real master, ordered by salt-run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from saltfactories.utils import random_string

from tests.conftest import BASE_DECLARATION, IMAGES

SALT_RUN = str(Path(sys.executable).parent / "salt-run")


def service(name, base, mods):
    return {"repository": f"{IMAGES}{name}", "base": base, "mods": mods}


OTHER = {**BASE_DECLARATION, "repository": f"{IMAGES}other-base"}
CATALOGUE = {
    "bases": {"test-base": BASE_DECLARATION, "test-other": OTHER},
    "services": {
        "test-a": service("a", "test-base", ["one"]),
        "test-b": service("b", "test-a", ["one"]),
        "test-c": service("c", "test-other", ["one"]),
        "test-d": service("d", "test-c", ["one"]),
        "test-slow": service("slow", "test-other", ["slow"]),
    },
}


@pytest.fixture(scope="module")
def master(salt_factories):
    overrides = {"interface": "127.0.0.1", "auto_accept": True}
    factory = salt_factories.salt_master_daemon(random_string("farm-"), overrides=overrides)
    with factory.started(start_timeout=120):
        yield factory


@pytest.fixture(scope="module")
def minions(master):
    with ExitStack() as stack:
        factories = [master.salt_minion_daemon(random_string("builder-")) for _ in range(2)]
        for factory in factories:
            stack.enter_context(factory.started(start_timeout=120))
        pillar, states = master.pillar_tree.base, master.state_tree.base
        for tree, name, text in (
            (pillar, "top.sls", "base: {'*': [all]}\n"),
            (pillar, "all.sls", "#!json\n" + json.dumps({"ubiq": CATALOGUE})),
            (states, "one.sls", "/srv/one:\n  file.managed\n"),
            (states, "slow.sls", "sleep 90:\n  cmd.run: []\n"),
        ):
            stack.enter_context(tree.temp_file(name, text))
        source = Path(__file__).parent.parent.parent / "_docker"
        target = Path(master.state_tree.base.write_path, "_docker")
        shutil.copytree(source, target)
        salt = master.salt_cli()
        for factory in factories:
            assert salt.run("saltutil.refresh_pillar", wait=True, minion_tgt=factory.id).data
        yield factories
        shutil.rmtree(target)


def build_all(master, *names) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            SALT_RUN,
            "-c",
            master.config_dir,
            "--out=json",
            "ubiq.build_all",
            *names,
            "tgt=builder-*",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(process):
    printed, errors = process.communicate(timeout=240)
    assert printed, errors
    return json.loads(printed)["images"]


class Events:
    """The events of a run on the master's bus, with the minion that returned each job."""

    def __init__(self, config):
        import salt.utils.event

        self._bus = salt.utils.event.get_master_event(config, config["sock_dir"], listen=True)
        self._end = False
        self.seen = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        while not self._end:
            event = self._bus.get_event(wait=0.3, full=True)
            if event:
                self.seen.append(event)

    def close(self):
        time.sleep(1)
        self._end = True
        self._thread.join()
        self._bus.destroy()

    @property
    def homes(self):
        """The minion that built each image."""
        return {
            event["data"]["fun_args"][0]: event["data"]["id"]
            for event in self.seen
            if "/ret/" in event["tag"] and event["data"]["fun"].startswith("ubiq_docker.build_")
        }


def test_images_are_spread_and_children_built_where_their_parents_are(
    master, minions, base, images, engine
):
    events = Events(dict(master.config))
    try:
        process = build_all(master, "test-[abcd]", "test-base", "test-other")
        results = results_of(process)
    finally:
        events.close()
    assert process.returncode == 0, results
    assert results["test-base"]["action"] == "up-to-date"
    assert {results[name]["action"] for name in results if name != "test-base"} == {"built"}
    homes = events.homes
    assert set(homes.values()) == {minion.id for minion in minions}
    assert homes["test-base"] == homes["test-a"] == homes["test-b"]
    assert homes["test-other"] == homes["test-c"] == homes["test-d"]
    assert results["test-d"]["parent"] == engine.inspect_image(f"{IMAGES}c")["Id"]
    tags = [event["tag"] for event in events.seen if event["tag"].startswith("salt/ubiq/")]
    assert {tag.split("/", 3)[3] for tag in tags} >= {"test-a/started", "test-a/built"}


def test_a_minion_that_dies_fails_its_image_with_a_clear_word(
    master, minions, base, images, engine
):
    """Runs last: one minion is gone afterwards."""
    process = build_all(master, "test-slow", "test-a")
    deadline = time.monotonic() + 120
    victim = None
    while victim is None:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        for found in engine.containers(filters={"label": "org.salt-ubiq.image=test-slow"}):
            rows = engine.top(found["Id"], "-o pid,args")["Processes"] or ()
            if any(row[-1].endswith("sleep 90") for row in rows):
                victim = next(each for each in minions if _builds(master, each))
        time.sleep(0.5)
    for child in psutil.Process(victim.pid).children(recursive=True):
        child.kill()
    victim.terminate()
    results = results_of(process)
    assert process.returncode == 1
    assert results["test-a"]["action"] == "built"
    assert results["test-slow"]["action"] == "failed"
    assert results["test-slow"]["error"] == f"minion {victim.id} does not answer any more"
    # What it left is removed by the next build of its workspace; here, by hand.
    for found in engine.containers(all=True, filters={"label": "org.salt-ubiq.image=test-slow"}):
        engine.remove_container(found["Id"], v=True, force=True)


def _builds(master, minion):
    running = master.salt_cli().run("saltutil.running", minion_tgt=minion.id).data
    return any(job["arg"][:1] == ["test-slow"] for job in running or ())

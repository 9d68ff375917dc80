"""Runs on two real minions of a real master, ordered by salt-run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IMAGES
from tests.integration.daemons.conftest import OTHER, service

SALT_RUN = str(Path(sys.executable).parent / "salt-run")


@pytest.fixture(autouse=True)
def catalogue(daemons):
    daemons.state("one.sls", "/srv/one:\n  file.managed\n")
    daemons.pillar(
        bases={"test-other": OTHER},
        **{
            "test-a": service("a", mods=["one"]),
            "test-b": service("b", "test-a", ["one"]),
            "test-c": service("c", "test-other", ["one"]),
            "test-d": service("d", "test-c", ["one"]),
        },
    )


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


def homes_of(events):
    """The minion that built each image."""
    return {
        event["data"]["fun_args"][0]: event["data"]["id"]
        for event in events.seen
        if "/ret/" in event["tag"] and event["data"]["fun"].startswith("ubiq_docker.build_")
    }


def test_images_are_spread_and_children_built_where_their_parents_are(
    master, minions, events, engine
):
    process = build_all(master, "test-[abcd]", "test-base", "test-other")
    results = results_of(process)
    events.close()
    assert process.returncode == 0, results
    assert results["test-base"]["action"] == "up-to-date"
    assert {results[name]["action"] for name in results if name != "test-base"} == {"built"}
    homes = homes_of(events)
    assert set(homes.values()) == {minion.id for minion in minions}
    assert homes["test-base"] == homes["test-a"] == homes["test-b"]
    assert homes["test-other"] == homes["test-c"] == homes["test-d"]
    assert results["test-d"]["parent"] == engine.inspect_image(f"{IMAGES}c")["Id"]
    tags = [event["tag"] for event in events.seen if event["tag"].startswith("salt/ubiq/")]
    assert {tag.split("/", 3)[3] for tag in tags} >= {"test-a/started", "test-a/built"}

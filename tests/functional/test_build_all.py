"""Many images in order, on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, IMAGES


def service(name, base="test-base", mods=("one",), **more):
    return {"repository": f"{IMAGES}{name}", "base": base, "mods": list(mods), **more}


@pytest.fixture
def seven(host):
    """A base and six services in three levels, one of which fails in the middle."""
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.file("fails.sls", "exit 3:\n  cmd.run: []\n")
    services = {
        "test-a": service("a"),
        "test-b": service("b"),
        "test-d": service("d", "test-a"),
        "test-h": service("h", "test-b", ["fails"]),
        "test-i": service("i", "test-h"),
        "test-k": service("k", "test-i"),
    }
    host.catalogue(**services)
    return host


def test_a_failure_stops_only_what_is_built_from_it(seven, engine):
    modules = seven.modules
    results = modules["ubiq_docker.build_all"]()

    actions = {name.removeprefix("test-"): each["action"] for name, each in results.items()}
    assert {name for name, action in actions.items() if action == "built"} == {"a", "b", "d"}
    assert (actions["base"], actions["h"]) == ("up-to-date", "failed")
    assert {name: results[f"test-{name}"]["error"] for name in "ik"} == {
        "i": "parent test-h failed",
        "k": "parent test-i was skipped",
    }
    assert modules.pack["__context__"]["retcode"] == 1
    assert engine.inspect_image(f"{IMAGES}d")["Id"] == results["test-d"]["id"]
    assert results["test-d"]["parent"] == results["test-a"]["id"]
    assert results["test-d"]["size"] > 0
    assert not engine.images(f"{IMAGES}h")

    (run, *_) = seven.call("ubiq_docker.runs", limit=1)
    assert run["summary"] == "3 built, 1 up to date, 1 failed, 2 skipped"
    assert Path(seven.cachedir, "ubiq", "runs", f"{run['id']}.json").is_file()
    recorded = seven.call("ubiq_docker.runs", run["id"])["results"]
    assert {each["name"]: each["action"] for each in recorded} == {
        name: each["action"] for name, each in results.items()
    }
    labels = engine.inspect_image(f"{IMAGES}d")["Config"]["Labels"]
    assert labels["org.salt-ubiq.run"] == run["id"]
    assert "exit 3 (cmd.run)" in seven.call("ubiq_docker.logs", "test-h")
    json.dumps(results)


def test_a_failed_build_is_tried_again_and_what_may_fail_does_not_fail_the_run(host, tmp_path):
    (tmp_path / "marker").mkdir()
    host.file("flaky.sls", "test -e /marker/tried || { touch /marker/tried; exit 1; }:\n  cmd.run")
    host.file("fails.sls", "exit 3:\n  cmd.run: []\n")
    flaky = {"retries": 1, "build": {"binds": [f"{tmp_path}/marker:/marker"]}}
    host.catalogue(
        **{
            "test-a": service("a", mods=["flaky"], **flaky),
            "test-b": service("b", mods=["fails"], allowed_to_fail=True),
            "test-c": service("c", "test-b"),
        }
    )
    modules = host.modules
    results = modules["ubiq_docker.build_all"]()
    assert {name: (each["action"], each["attempts"]) for name, each in results.items()} == {
        "test-base": ("up-to-date", 1),
        "test-a": ("built", 2),
        "test-b": ("failed", 1),
        "test-c": ("skipped", 1),
    }
    assert modules.pack["__context__"]["retcode"] == 0


def test_a_plan_tells_order_and_reasons_and_builds_nothing(seven, engine):
    before = {image["Id"] for image in engine.images(all=True)}
    plan = seven.call("ubiq_docker.plan", "test-d")
    assert {step["name"]: (step["action"], step["reasons"]) for step in plan} == {
        "test-base": ("up-to-date", []),
        "test-a": ("build", ["no image"]),
        "test-d": ("build", ["parent test-a is built"]),
    }
    names = [step["name"] for step in seven.call("ubiq_docker.plan", "+test-d", "test-h+")]
    assert set(names) == {f"test-{name}" for name in ["base", *"adbhik"]}
    assert {image["Id"] for image in engine.images(all=True)} == before


def test_status_says_what_the_engine_has(seven, engine):
    engine.tag(BASE, f"{IMAGES}a")
    status = seven.call("ubiq_docker.status", "test-[ab]")
    assert list(status) == ["test-a", "test-b"]
    assert status["test-a"]["present"]
    assert status["test-a"]["id"] == engine.inspect_image(BASE)["Id"]
    assert not status["test-a"]["fresh"]
    assert (status["test-b"]["present"], status["test-b"]["parent"]) == (False, "test-base")


def test_an_unknown_name_is_told_before_anything_is_built(seven):
    with pytest.raises(CommandExecutionError, match="no image 'test-x' in the catalogue"):
        seven.call("ubiq_docker.build_all", "test-a", "test-x")


def test_logs_of_what_was_never_built(host):
    with pytest.raises(CommandExecutionError, match="no log of 'test-never'"):
        host.call("ubiq_docker.logs", "test-never")

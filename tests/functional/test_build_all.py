"""Many images in order, on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import IMAGES


def service(name, base="test-base", mods=("one",), **more):
    return {"repository": f"{IMAGES}{name}", "base": base, "mods": list(mods), **more}


@pytest.fixture
def twelve(host):
    """A base and twelve services in three levels, one of which fails in the middle."""
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.file("fails.sls", "exit 3:\n  cmd.run: []\n")
    services = {f"test-{name}": service(name) for name in "abc"}
    services |= {f"test-{name}": service(name, "test-a") for name in "defg"}
    services["test-h"] = service("h", "test-b", ["fails"])
    services |= {f"test-{name}": service(name, "test-h") for name in "ij"}
    services |= {"test-k": service("k", "test-i"), "test-l": service("l", "test-d")}
    host.catalogue(**services)
    return host


def test_a_failure_stops_only_what_is_built_from_it(twelve, engine):
    modules = twelve.modules
    results = modules["ubiq_docker.build_all"]()

    actions = {name.removeprefix("test-"): each["action"] for name, each in results.items()}
    assert {name for name, action in actions.items() if action == "built"} == {
        "a", "b", "c", "d", "e", "f", "g", "l",
    }  # fmt: skip
    assert (actions["base"], actions["h"]) == ("up-to-date", "failed")
    assert {name: results[f"test-{name}"]["error"] for name in "ijk"} == {
        "i": "parent test-h failed",
        "j": "parent test-h failed",
        "k": "parent test-i was skipped",
    }
    assert modules.pack["__context__"]["retcode"] == 1
    assert engine.inspect_image(f"{IMAGES}l")["Id"] == results["test-l"]["id"]
    assert results["test-l"]["parent"] == results["test-d"]["id"]
    assert results["test-l"]["size"] > 0
    assert not engine.images(f"{IMAGES}h")

    (run, *_) = twelve.call("ubiq_docker.runs")
    assert run["summary"] == "8 built, 1 up to date, 1 failed, 3 skipped"
    recorded = twelve.call("ubiq_docker.runs", run["id"])["results"]
    assert {each["name"]: each["action"] for each in recorded} == {
        name: each["action"] for name, each in results.items()
    }
    labels = engine.inspect_image(f"{IMAGES}l")["Config"]["Labels"]
    assert labels["org.salt-ubiq.run"] == run["id"]
    assert "exit 3 (cmd.run)" in twelve.call("ubiq_docker.logs", "test-h")
    json.dumps(results)


def test_what_is_allowed_to_fail_does_not_fail_the_run(host):
    host.file("fails.sls", "exit 3:\n  cmd.run: []\n")
    host.catalogue(
        **{
            "test-a": service("a", mods=["fails"], allowed_to_fail=True),
            "test-b": service("b", "test-a", mods=["fails"]),
        }
    )
    modules = host.modules
    results = modules["ubiq_docker.build_all"]("test-[ab]")
    assert [each["action"] for each in results.values()] == ["up-to-date", "failed", "skipped"]
    assert modules.pack["__context__"]["retcode"] == 0


def test_a_failed_build_is_tried_again(host, tmp_path):
    marker = tmp_path / "marker"
    marker.mkdir()
    host.file("flaky.sls", "test -e /marker/tried || { touch /marker/tried; exit 1; }:\n  cmd.run")
    host.catalogue(
        **{
            "test-a": service(
                "a", mods=["flaky"], retries=1, build={"binds": [f"{marker}:/marker"]}
            )
        }
    )
    results = host.call("ubiq_docker.build_all", "test-a")
    assert (results["test-a"]["action"], results["test-a"]["attempts"]) == ("built", 2)


def test_a_plan_tells_order_and_reasons_and_builds_nothing(twelve, engine):
    before = {image["Id"] for image in engine.images(all=True)}
    plan = twelve.call("ubiq_docker.plan", "test-l")
    assert {step["name"]: (step["action"], step["reasons"]) for step in plan} == {
        "test-base": ("up-to-date", []),
        "test-a": ("build", ["no image"]),
        "test-d": ("build", ["parent test-a is built"]),
        "test-l": ("build", ["parent test-d is built"]),
    }
    assert {image["Id"] for image in engine.images(all=True)} == before

    names = [step["name"] for step in twelve.call("ubiq_docker.plan", "+test-l", "test-h+")]
    assert set(names) == {f"test-{name}" for name in ["base", *"adlbhijk"]}


def test_status_says_what_the_engine_has(twelve, engine):
    built = twelve.call("ubiq_docker.build_service", "test-a")
    status = twelve.call("ubiq_docker.status", "test-[ab]")
    assert list(status) == ["test-a", "test-b"]
    assert status["test-a"]["id"] == built["id"]
    assert (status["test-b"]["present"], status["test-b"]["parent"]) == (False, "test-base")


def test_an_unknown_name_is_told_before_anything_is_built(twelve):
    with pytest.raises(CommandExecutionError, match="no image 'test-x' in the catalogue"):
        twelve.call("ubiq_docker.build_all", "test-a", "test-x")


def test_logs_of_what_was_never_built(host):
    with pytest.raises(CommandExecutionError, match="no log of 'test-never'"):
        host.call("ubiq_docker.logs", "test-never")


def test_the_run_record_is_a_file_of_the_workspace(twelve):
    twelve.call("ubiq_docker.build_all", "test-a")
    (run, *_) = twelve.call("ubiq_docker.runs", limit=1)
    assert Path(twelve.cachedir, "ubiq", "runs", f"{run['id']}.json").is_file()

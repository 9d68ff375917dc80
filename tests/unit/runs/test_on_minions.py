"""A run on minions, by a client whose minions do what a test says."""

from __future__ import annotations

import pytest

from salt_ubiq.errors import BuildError, CatalogueError, UnknownImage
from salt_ubiq.runs.on_minions import Target
from salt_ubiq.runs.on_minions import build_all as build_all_on_minions
from salt_ubiq.runs.plan import Request
from salt_ubiq.runs.records import Runs
from salt_ubiq.runs.run import Run
from tests.unit.runs.salt_client import FakeClient, built

DEBIAN = {"repository": "ubiq/debian", "dockerfile": "/srv/debian"}
READY = {"ready": True, "cpus": 2, "problems": []}


def service(base="debian", **more):
    return {"repository": "ubiq/any", "base": base, "mods": ["web"], **more}


def named(**services):
    return {
        "bases": {"debian": DEBIAN},
        "services": {
            name: {**each, "repository": f"ubiq/{name}"} for name, each in services.items()
        },
    }


def client(checks, catalogues, **returns):
    return FakeClient(
        {"ubiq_docker.check": checks, "ubiq_docker.catalogue": catalogues},
        {name: built(name) for name in ("debian", "web", "db", "site")} | returns,
    )


@pytest.fixture
def build_all(tmp_path):
    """``build_all(client, *names)``: the results and the exit status."""

    def run(client, *names, jobs=None, events=None, **asked):
        fired = [] if events is None else events
        this = Run("r1", Runs(tmp_path / "runs"), lambda *event: fired.append(event))
        outcome = build_all_on_minions(client, Target("b*"), Request(names, **asked), jobs, this)
        return outcome.to_dict(), outcome.status

    return run


ONE = {"one": READY}
CATALOGUE = named(web=service(), site=service("web"))


def test_all_images_are_built_parents_first(build_all):
    master = client(ONE, {"one": CATALOGUE})
    results, status = build_all(master)
    assert status == 0
    assert {name: each["action"] for name, each in results.items()} == dict.fromkeys(
        ("debian", "web", "site"), "built"
    )
    assert master.homes() == [(name, "one") for name in ("debian", "web", "site")]
    assert [fun for _, fun, *_ in master.published] == [
        "ubiq_docker.build_base", "ubiq_docker.build_service", "ubiq_docker.build_service",
    ]  # fmt: skip
    assert master.is_destroyed


def test_the_minions_that_match_are_asked_and_then_those_that_are_ready(build_all):
    checks = {"one": READY, "other": {"ready": False, "problems": ["no engine"]}, "odd": "a text"}
    master = client(checks, {"one": CATALOGUE})
    build_all(master)
    assert master.asked == [
        ("b*", "ubiq_docker.check", "glob"),
        (["one"], "ubiq_docker.catalogue", "list"),
    ]
    assert {home for _, home in master.homes()} == {"one"}


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ({}, "no minion of 'b*' can build: none answers"),
        (
            {
                "one": {"ready": False, "problems": ["no engine", "no Salt"]},
                "two": "not available",
            },
            "no minion of 'b*' can build:\n  one: no engine\n  one: no Salt\n  two: not available",
        ),
    ],
)
def test_where_none_can_build_each_says_why_not(build_all, checks, why):
    with pytest.raises(BuildError) as caught:
        build_all(client(checks, {}))
    assert str(caught.value) == why


def test_a_minion_that_does_not_tell_its_catalogue_gets_nothing(build_all):
    checks = {"one": READY, "other": READY}
    master = client(checks, {"one": CATALOGUE, "other": "the catalogue has 1 mistake"})
    build_all(master)
    assert {home for _, home in master.homes()} == {"one"}
    with pytest.raises(BuildError, match="none of one, other has told its catalogue"):
        build_all(client(checks, {"one": "a text"}))


def test_what_only_one_minion_has_in_its_catalogue_is_built_there(build_all):
    checks = {"one": READY, "other": READY}
    master = client(checks, {"one": named(web=service()), "other": named(db=service())})
    results, status = build_all(master, "web", "db")
    assert status == 0, results
    homes = dict(master.homes())
    assert (homes["web"], homes["db"]) == ("one", "other")


def test_only_what_is_asked_for_and_its_parents_are_built(build_all):
    master = client(ONE, {"one": CATALOGUE})
    results, _ = build_all(master, "web")
    assert list(results) == ["debian", "web"]
    with pytest.raises(UnknownImage, match="did you mean 'web'"):
        build_all(client(ONE, {"one": CATALOGUE}), "wep")


def test_what_is_asked_for_reaches_the_minions(build_all):
    master = client(ONE, {"one": named(web=service(), site=service("web", push=True))})
    build_all(master, "web", force=True, refresh=True)
    assert [kwarg for *_, kwarg in master.published] == [
        {"force": False, "refresh": True, "push": False},
        {"force": True, "refresh": True, "push": False},
    ]
    pushing = client(ONE, {"one": CATALOGUE})
    build_all(pushing, "site", push=True)
    assert [kwarg["push"] for *_, kwarg in pushing.published] == [False, False, True]


def test_no_more_than_the_minions_cpus_are_built_at_once(build_all):
    names = ("debian", "web", "db", "site")
    master = FakeClient(
        {
            "ubiq_docker.check": {"one": {**READY, "cpus": 1}},
            "ubiq_docker.catalogue": {"one": named(web=service(), db=service(), site=service())},
        },
        {name: built(name) for name in names},
    )
    events = []
    build_all(master, events=events)
    kinds = [tag.rpartition("/")[2] for tag, _ in events]
    assert kinds == ["started", "built"] * 4


def test_a_failure_skips_what_is_built_from_it_and_is_in_the_exit_status(build_all):
    master = client(ONE, {"one": CATALOGUE}, web="web: 1 of 1 states failed")
    results, status = build_all(master)
    assert status == 1
    assert (results["web"]["action"], results["web"]["error"]) == (
        "failed",
        "web: 1 of 1 states failed",
    )
    assert (results["site"]["action"], results["site"]["error"]) == (
        "skipped",
        "parent web failed",
    )


def test_what_differs_between_catalogues_is_said_before_anything_is_built(build_all):
    other = named(db={**service()})
    other["services"]["db"]["repository"] = "ubiq/web"
    master = client({"one": READY, "two": READY}, {"one": CATALOGUE, "two": other})
    with pytest.raises(CatalogueError, match="ubiq/web:latest is also db's"):
        build_all(master)
    assert master.homes() == []


@pytest.mark.parametrize(
    "told",
    [
        {"bases": {}, "services": {"web": service("nowhere")}},
        {"bases": 3, "services": {}},
        {"services": {}},
        ["web"],
        "a traceback",
        None,
    ],
)
def test_a_minion_that_tells_what_is_no_catalogue_builds_nothing(build_all, told):
    master = client({"one": READY, "two": READY}, {"one": told, "two": CATALOGUE})
    _, status = build_all(master)
    assert status == 0
    assert {home for _, home in master.homes()} == {"two"}


@pytest.mark.parametrize("report", [{"ready": True, "cpus": 0}, {"ready": "?"}, [], {"cpus": 2}])
def test_a_minion_whose_report_is_none_is_not_ready(build_all, report):
    with pytest.raises(BuildError, match="no minion of 'b\\*' can build"):
        build_all(client({"one": report}, {"one": CATALOGUE}))


def test_the_run_is_recorded(build_all, tmp_path):
    build_all(client(ONE, {"one": CATALOGUE}))
    (run,) = Runs(tmp_path / "runs").list(10)
    assert run.summary()["summary"] == "3 built"

"""A run: what is built, told, recorded and returned, with an executor that builds at once."""

from __future__ import annotations

import pytest

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.results import Result
from salt_ubiq.runs import plan
from salt_ubiq.runs.plan import Request
from salt_ubiq.runs.records import Runs
from salt_ubiq.runs.run import Run, carry_out
from salt_ubiq.runs.scheduler import GRACE

DEBIAN = {"repository": "ubiq/debian", "dockerfile": "/srv/debian"}
PUSHED = ({"reference": "registry/web:1", "digest": "sha256:2"},)


def images(**more):
    services = {
        "web": {"repository": "ubiq/web", "base": "debian", "mods": ["web"]},
        "site": {"repository": "ubiq/site", "base": "web", "mods": ["site"]},
    }
    services = {name: {**each, **more.get(name, {})} for name, each in services.items()}
    return parse({"bases": {"debian": DEBIAN}, "services": services})


def steps(catalogue, *stale):
    return plan.steps(
        catalogue, Request(), lambda image: ["no image"] if image.name in stale else []
    )


class Executor:
    """Builds each in no time, but for those of which something else becomes."""

    slots = 2

    def __init__(self, **becomes):
        self.becomes = becomes
        self.jobs = []
        self.closed = False
        self._ended = []

    def start(self, name, attempt, parents):
        self.jobs.append((name, attempt, sorted(parents)))
        outcome = self.becomes.get(name, Result(name, f"ubiq/{name}:latest", "built"))
        self._ended.append(outcome(attempt) if callable(outcome) else outcome)
        return True

    def wait(self, timeout):
        ended, self._ended = self._ended, []
        for each in ended:
            if isinstance(each, BaseException):
                raise each
        return ended

    def cancel(self, names):
        self._ended += [failed(name) for name in names]

    def close(self):
        self.closed = True


def failed(name, **more):
    return Result(name, f"ubiq/{name}:latest", "failed", error=f"{name} broke", **more)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "runs")


@pytest.fixture
def run(runs):
    """``run(steps, executor)``: results, exit status and events."""

    def carried_out(steps, executor, **more):
        events = []
        this = Run("r1", runs, lambda *event: events.append(event))
        outcome = carry_out(steps, lambda _: executor, None, this, **more)
        return outcome.results, outcome.status, events

    return carried_out


def test_only_what_is_due_is_built_and_the_rest_is_in_the_results_in_the_plans_order(run):
    executor = Executor()
    up_to_date = {"debian": Result("debian", "ubiq/debian:latest", "up-to-date")}
    results, status, _ = run(steps(images(), "web"), executor, up_to_date=up_to_date)
    assert executor.jobs == [("web", 1, []), ("site", 1, ["web"])]
    assert {name: each.action for name, each in results.items()} == {
        "debian": "up-to-date", "web": "built", "site": "built",
    }  # fmt: skip
    assert list(results) == ["debian", "web", "site"]
    assert status == 0
    assert executor.closed


def test_a_failure_is_in_the_exit_status_and_has_the_reasons_why_it_was_due(run):
    results, status, _ = run(steps(images(), "web"), Executor(web=failed("web")))
    assert status == 1
    assert (results["web"].error, results["web"].reasons) == ("web broke", ("no image",))
    assert (results["site"].action, results["site"].reasons) == (
        "skipped",
        ("parent web is built",),
    )


def test_a_built_image_has_the_reasons_that_its_build_found(run):
    found = Result("web", "ubiq/web:latest", "built", reasons=("state changed",))
    results, _, _ = run(steps(images(), "web"), Executor(web=found))
    assert results["web"].reasons == ("state changed",)


def test_what_is_allowed_to_fail_and_what_it_skips_is_not_in_the_exit_status(run):
    catalogue = images(web={"allowed_to_fail": True})
    _, status, _ = run(steps(catalogue, "web"), Executor(web=failed("web")))
    assert status == 0


def test_what_fails_is_tried_again_as_often_as_is_declared(run):
    catalogue = images(site={"retries": 2})
    executor = Executor(
        site=lambda attempt: (
            failed("site") if attempt < 3 else Result("site", "ubiq/site:latest", "built")
        )
    )
    results, status, events = run(steps(catalogue, "site"), executor)
    assert [attempt for _, attempt, _ in executor.jobs] == [1, 2, 3]
    assert (results["site"].action, results["site"].attempts, status) == ("built", 3, 0)
    assert [tag.rpartition("/")[2] for tag, _ in events] == [
        "started", "retrying", "started", "retrying", "started", "built",
    ]  # fmt: skip


def test_events_say_what_became_of_each_image(run):
    web = Result("web", "ubiq/web:latest", "built", pushed=PUSHED)
    _, _, events = run(steps(images(), "web"), Executor(web=web, site=failed("site")))
    assert [tag for tag, _ in events] == [
        "salt/ubiq/r1/web/started",
        "salt/ubiq/r1/web/built",
        "salt/ubiq/r1/web/pushed",
        "salt/ubiq/r1/site/started",
        "salt/ubiq/r1/site/failed",
    ]
    assert events[0][1] == {"name": "web"}
    assert events[2][1]["pushed"] == list(PUSHED)
    assert events[4][1]["error"] == "site broke"


def test_the_run_is_recorded(run, runs):
    run(steps(images(), "web"), Executor(site=failed("site")))
    record = runs.load("r1")
    assert [(each.name, each.action) for each in record.results] == [
        ("web", "built"),
        ("site", "failed"),
    ]
    assert record.started <= record.finished


def test_a_run_that_is_interrupted_is_recorded_too(run, runs):
    with pytest.raises(KeyboardInterrupt):
        run(steps(images(), "web"), Executor(site=KeyboardInterrupt()))
    results = {each.name: each for each in runs.load("r1").results}
    assert results["web"].action == "built"
    assert (results["site"].action, results["site"].error) == ("failed", "cancelled")


def test_only_the_latest_hundred_records_are_kept(run, runs):
    for number in range(102):
        runs.save(f"old{number}", [], number, number)
    run(steps(images(), "site"), Executor())
    assert len(runs.list(200)) == 100
    assert runs.list(1)[0].id == "r1"


def test_a_job_has_what_the_declaration_and_earlier_runs_say(run, runs, monkeypatch):
    runs.save("r0", [Result("web", "ubiq/web:latest", "built", duration=7.0)], 1, 2)
    catalogue = images(web={"timeout": 30, "retries": 1, "allowed_to_fail": True})
    seen = []

    def scheduler(jobs, *_):
        seen.extend(jobs)
        raise RuntimeError("seen")

    monkeypatch.setattr("salt_ubiq.runs.run.Scheduler", scheduler)
    with pytest.raises(RuntimeError, match="seen"):
        run(steps(catalogue, "web"), Executor())
    web, site = seen
    assert (web.expected, web.retries, web.allowed_to_fail) == (7.0, 1, True)
    assert web.timeout == 30 + GRACE
    assert (web.image, site.parents, site.expected) == ("ubiq/web:latest", ("web",), None)


def test_what_is_up_to_date_and_to_be_pushed_is_a_job(run):
    catalogue = images(web={"push": True})
    executor = Executor(web=Result("web", "ubiq/web:latest", "up-to-date", pushed=PUSHED))
    results, _, events = run(steps(catalogue), executor)
    assert executor.jobs == [("web", 1, [])]
    assert results["web"].action == "up-to-date"
    assert "salt/ubiq/r1/web/pushed" in [tag for tag, _ in events]


def test_where_nothing_is_due_nothing_is_started(run):
    executor = Executor()
    up_to_date = {
        name: Result(name, f"ubiq/{name}:latest", "up-to-date")
        for name in ("debian", "web", "site")
    }
    results, status, events = run(steps(images()), executor, up_to_date=up_to_date)
    assert (list(results), status, events, executor.jobs) == (list(up_to_date), 0, [], [])

"""
One run: a plan, the scheduler, and who is to know what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from salt_ubiq.errors import UbiqError
from salt_ubiq.results import Result
from salt_ubiq.runs.plan import Step
from salt_ubiq.runs.progress import Progress
from salt_ubiq.runs.records import Runs
from salt_ubiq.runs.scheduler import GRACE, Event, Executor, Job, Scheduler, exit_status

_KEPT_RUNS = 100


@dataclass(frozen=True)
class Run:
    """
    One run.

    records
        where it is recorded

    fire
        sends an event to Salt's bus: its tag and data
    """

    id: str
    records: Runs
    fire: Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the results by the names of the images, and an exit status."""

    results: dict[str, Result]
    status: int

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The results as plain data, as the loader modules return them."""
        return {name: result.to_dict() for name, result in self.results.items()}


def carry_out(
    steps: Sequence[Step],
    executor: Callable[[Progress], Executor],
    slots: int | None,
    run: Run,
    up_to_date: Mapping[str, Result] = MappingProxyType({}),
) -> Outcome:
    """
    Build what the plan says.

    executor
        makes the executor, given what to tell of the passing of time

    slots
        how many builds at once, ``None`` for as many as the executor can

    up_to_date
        the results of the steps that have nothing to do

    The run is recorded even if it is interrupted.
    """
    expected = run.records.durations()
    jobs = [_job(step, expected) for step in steps if step.due]
    reasons = {step.image.name: step.reasons for step in steps}
    started = time.time()
    with Progress(len(jobs)) as progress:

        def observe(event: Event, name: str, result: Result | None) -> None:
            progress.observe(event, name, result)
            data = result.to_dict() if result else {"name": name}
            run.fire(f"salt/ubiq/{run.id}/{name}/{event}", data)
            if result and result.pushed:
                run.fire(f"salt/ubiq/{run.id}/{name}/pushed", data)

        scheduler = Scheduler(jobs, executor(progress), slots, observe)
        try:
            scheduler.run()
        finally:
            done = {
                name: result if result.is_there else replace(result, reasons=reasons[name])
                for name, result in scheduler.results.items()
            }
            results = {**up_to_date, **done}
            results = {name: results[name] for name in reasons if name in results}
            run.records.save(run.id, results.values(), started, time.time())
            run.records.keep(_KEPT_RUNS)
    return Outcome(results, exit_status(results, jobs))


def one_by_one(builds: Mapping[str, Callable[[], Result]]) -> Result:
    """
    Build images one after the other in this process; return the last one's result.

    builds
        by the names of the images

    Raises what the first that fails does.
    """
    with Progress(len(builds), live=False) as progress, progress.ticking():
        for name, build in builds.items():
            progress.observe("started", name, None)
            try:
                result = build()
            except UbiqError:
                progress.observe("failed", name, None)
                raise
            progress.observe(result.action, name, result)
    return result


def _job(step: Step, expected: Mapping[str, float]) -> Job:
    image = step.image
    return Job(
        name=image.name,
        parents=step.parents,
        expected=expected.get(image.name),
        retries=image.retries,
        allowed_to_fail=image.allowed_to_fail,
        timeout=image.timeout + GRACE,  # the build itself keeps to it, and can say more
        image=image.reference,
        shares=step.shares,
    )

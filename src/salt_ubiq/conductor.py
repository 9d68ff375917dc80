"""
One run: a plan, the scheduler, and who is to know what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from salt_ubiq.errors import UbiqError
from salt_ubiq.plan import Step
from salt_ubiq.progress import Progress
from salt_ubiq.report import Result
from salt_ubiq.runs import Runs
from salt_ubiq.scheduler import GRACE, Event, Executor, Job, Scheduler, exit_status

_KEPT_RUNS = 100


def conduct(
    steps: Sequence[Step],
    executor: Callable[[Progress], Executor],
    slots: int | None,
    runs: Runs,
    run_id: str,
    fire: Callable[[str, Mapping[str, Any]], None],
    fresh: Mapping[str, Result] = MappingProxyType({}),
) -> tuple[dict[str, Result], int]:
    """
    Build what the plan says; return the results by name, and an exit status.

    executor
        makes the executor, given what to tell of the passing of time

    fresh
        the results of the steps that have nothing to do

    slots
        how many builds at once, ``None`` for as many as the executor can

    fire
        sends an event to Salt's bus: its tag and data

    The run is recorded even if it is interrupted.
    """
    expected = runs.durations()
    jobs = [_job(step, expected) for step in steps if step.due]
    reasons = {step.image.name: step.reasons for step in steps}
    started = time.time()
    with Progress(len(jobs)) as progress:

        def observe(event: Event, name: str, result: Result | None) -> None:
            progress.observe(event, name, result)
            data = result.to_dict() if result else {"name": name}
            fire(f"salt/ubiq/{run_id}/{name}/{event}", data)
            if result and result.pushed:
                fire(f"salt/ubiq/{run_id}/{name}/pushed", data)

        scheduler = Scheduler(jobs, executor(progress), slots, observe)
        try:
            scheduler.run()
        finally:
            done = {
                name: result if result.is_there else replace(result, reasons=reasons[name])
                for name, result in scheduler.results.items()
            }
            results = {**fresh, **done}
            results = {name: results[name] for name in reasons if name in results}
            runs.save(run_id, results.values(), started, time.time())
            runs.keep(_KEPT_RUNS)
    return results, exit_status(results, jobs)


def conduct_here(builds: Mapping[str, Callable[[], Result]]) -> Result:
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

"""
A run on minions: which can build, what their catalogue is, and the run itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from salt_ubiq import catalogue, conductor, plan
from salt_ubiq.catalogue import Base
from salt_ubiq.errors import BuildError, CatalogueError, shortened
from salt_ubiq.progress import Progress
from salt_ubiq.report import new_run_id
from salt_ubiq.runs import Runs
from salt_ubiq.workers.minions import Minion, MinionExecutor

log = logging.getLogger(__name__)

_ANSWER_WITHIN = 30


def build_all(
    client: Any,
    names: Sequence[str],
    tgt: Any,
    tgt_type: str,
    jobs: int | None,
    force: bool,
    refresh: bool,
    push: bool,
    runs: Runs,
    fire: Callable[[str, Mapping[str, Any]], None],
) -> tuple[dict[str, dict[str, Any]], int]:
    """
    Build images of the minions' catalogue on the minions that match.

    client
        a ``salt.client.LocalClient``

    Returns the results as plain data by name, and an exit status. Raises
    :class:`~salt_ubiq.errors.UbiqError` where no minion can build.
    """
    answers = client.cmd(tgt, "ubiq_docker.check", timeout=_ANSWER_WITHIN, tgt_type=tgt_type)
    reports = {name: _report(answer) for name, answer in answers.items()}
    ready = [name for name, report in reports.items() if report.ready]
    if not ready:
        raise BuildError(f"no minion of '{tgt}' can build:" + _why_not(reports))
    told = client.cmd(ready, "ubiq_docker.catalogue", timeout=_ANSWER_WITHIN, tgt_type="list")
    declared = {name: data for name, data in told.items() if _is_catalogue(name, data)}
    if not declared:
        raise BuildError(f"none of {', '.join(ready)} has told its catalogue")
    union: dict[str, Any] = {}
    for data in declared.values():
        union = catalogue.merged(data, union)
    images = catalogue.parse(union)
    minions = [
        Minion(name, reports[name].cpus, frozenset({**data["bases"], **data["services"]}))
        for name, data in declared.items()
    ]
    functions = {
        image.name: f"ubiq_docker.build_{'base' if isinstance(image, Base) else 'service'}"
        for image in images
    }

    # Whether an image is up to date only a minion that has it can tell.
    steps = plan.steps(images, names, lambda _: ["asked for"], push=push)
    forced = plan.all_forced(images, names) if force else {}
    arguments = {
        step.image.name: {
            "force": step.image.name in forced,
            "refresh": refresh,
            "push": step.push,
        }
        for step in steps
    }

    references = {image.name: image.reference for image in images}

    def executor(progress: Progress) -> MinionExecutor:
        return MinionExecutor(client, minions, functions, arguments, references, progress.refresh)

    results, status = conductor.conduct(steps, executor, jobs, runs, new_run_id(), fire)
    return {name: result.to_dict() for name, result in results.items()}, status


class _Report(BaseModel):
    """What a minion says of itself, as ``ubiq_docker.check`` returns it."""

    ready: bool
    cpus: Annotated[int, Field(gt=0)] = 1
    problems: list[str] = []


def _report(answer: Any) -> _Report:
    """A minion's answer; what is none is a problem."""
    try:
        return _Report.model_validate(answer)
    except ValidationError:
        return _Report(ready=False, problems=[shortened(str(answer))])


def _is_catalogue(minion: str, told: Any) -> bool:
    """Whether that can be built of; a minion that tells anything else builds nothing."""
    try:
        catalogue.parse(told)
        return isinstance(told, dict) and {"bases", "services"} <= told.keys()
    except CatalogueError as exc:
        log.warning("minion %s builds nothing: %s", minion, shortened(str(exc)))
        return False


def _why_not(reports: Mapping[str, _Report]) -> str:
    if not reports:
        return " none answers"
    return "".join(
        f"\n  {name}: {problem}" for name, report in reports.items() for problem in report.problems
    )

"""
A run on minions: which can build, what their catalogue is, and the run itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from salt_ubiq.catalogue.models import Base
from salt_ubiq.catalogue.parse import merged, parse
from salt_ubiq.errors import BuildError, CatalogueError, brief, joined, shortened
from salt_ubiq.runs import plan
from salt_ubiq.runs.plan import Request
from salt_ubiq.runs.progress import Progress
from salt_ubiq.runs.run import Outcome, Run, carry_out
from salt_ubiq.runs.workers.minions import Minion, MinionBuild, MinionExecutor

log = logging.getLogger(__name__)

_ANSWER_WITHIN = 30


@dataclass(frozen=True)
class Target:
    """Which minions build, as Salt targets them."""

    tgt: Any
    tgt_type: str = "glob"


def build_all(
    client: Any, target: Target, request: Request, jobs: int | None, this: Run
) -> Outcome:
    """
    Build images of the minions' catalogue on the minions that match.

    client
        a ``salt.client.LocalClient``

    jobs
        how many builds at once, ``None`` for as many as the minions can

    Raises :class:`~salt_ubiq.errors.UbiqError` where no minion can build.
    """
    reports = _reports(client, target)
    declared = _catalogues(client, [name for name, report in reports.items() if report.ready])
    union: dict[str, Any] = {}
    for data in declared.values():
        union = merged(data, union)
    images = parse(union)
    minions = [
        Minion(name, reports[name].cpus, frozenset({**data["bases"], **data["services"]}))
        for name, data in declared.items()
    ]
    # Whether an image is up to date only a minion that has it can tell.
    steps = plan.steps(images, request, lambda _: ["asked for"])
    forced = plan.forced(images, request)
    builds = {
        step.image.name: MinionBuild(
            function=f"ubiq_docker.build_{'base' if isinstance(step.image, Base) else 'service'}",
            arguments={
                "force": step.image.name in forced,
                "refresh": request.refresh,
                "push": step.push,
            },
            image=step.image.reference,
        )
        for step in steps
    }

    def executor(progress: Progress) -> MinionExecutor:
        return MinionExecutor(client, minions, builds, progress.refresh)

    return carry_out(steps, executor, jobs, this)


def _reports(client: Any, target: Target) -> dict[str, _Report]:
    """What the minions say of themselves, one of which at least is ready."""
    answers = client.cmd(
        target.tgt, "ubiq_docker.check", timeout=_ANSWER_WITHIN, tgt_type=target.tgt_type
    )
    reports = {name: _report(answer) for name, answer in answers.items()}
    if not any(report.ready for report in reports.values()):
        raise BuildError(f"no minion of '{brief(target.tgt)}' can build:" + _why_not(reports))
    return reports


def _catalogues(client: Any, ready: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The catalogues of those minions that tell one."""
    told = client.cmd(ready, "ubiq_docker.catalogue", timeout=_ANSWER_WITHIN, tgt_type="list")
    declared = {name: data for name, data in told.items() if _is_catalogue(name, data)}
    if not declared:
        raise BuildError(f"none of {joined(ready)} has told its catalogue")
    return declared


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
        parse(told)
        return isinstance(told, dict) and {"bases", "services"} <= told.keys()
    except CatalogueError as exc:
        log.warning("minion %s builds nothing: %s", minion, shortened(str(exc)))
        return False


def _why_not(reports: Mapping[str, _Report]) -> str:
    if not reports:
        return " none answers"
    return "".join(
        f"\n  {name}: {shortened(problem)}"
        for name, report in reports.items()
        for problem in report.problems
    )

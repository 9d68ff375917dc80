"""
A run on minions: which can build, what their catalogue is, and the run itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from salt_ubiq import catalogue, conductor, plan
from salt_ubiq.catalogue import Base
from salt_ubiq.errors import BuildError
from salt_ubiq.progress import Progress
from salt_ubiq.report import new_run_id
from salt_ubiq.runs import Runs
from salt_ubiq.workers.minions import Minion, MinionExecutor

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
    checks = client.cmd(tgt, "ubiq_docker.check", timeout=_ANSWER_WITHIN, tgt_type=tgt_type)
    ready = [name for name, report in checks.items() if _is_ready(report)]
    if not ready:
        raise BuildError(f"no minion of '{tgt}' can build:" + _why_not(checks))
    declared = client.cmd(ready, "ubiq_docker.catalogue", timeout=_ANSWER_WITHIN, tgt_type="list")
    declared = {name: data for name, data in declared.items() if isinstance(data, dict)}
    if not declared:
        raise BuildError(f"none of {', '.join(ready)} has told its catalogue")
    union: dict[str, Any] = {}
    for data in declared.values():
        union = catalogue.merged(data, union)
    images = catalogue.parse(union)
    minions = [
        Minion(name, int(checks[name]["cpus"]), frozenset({**data["bases"], **data["services"]}))
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

    def executor(progress: Progress) -> MinionExecutor:
        return MinionExecutor(client, minions, functions, arguments, progress.refresh)

    results, status = conductor.conduct(steps, executor, jobs, runs, new_run_id(), fire)
    return {name: result.to_dict() for name, result in results.items()}, status


def _is_ready(report: Any) -> bool:
    return isinstance(report, dict) and bool(report.get("ready"))


def _why_not(checks: Mapping[str, Any]) -> str:
    if not checks:
        return " none answers"
    lines = []
    for name, report in checks.items():
        problems = report["problems"] if isinstance(report, dict) else [str(report)]
        lines += [f"\n  {name}: {problem}" for problem in problems]
    return "".join(lines)

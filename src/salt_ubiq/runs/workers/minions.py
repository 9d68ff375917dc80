"""
Builds on minions, as jobs of Salt: published, watched and cancelled as any other job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from salt_ubiq.errors import shortened
from salt_ubiq.results import Result

# Seconds between looks at whether minions still run what they were given, how long
# they have to answer, and after how many unanswered looks one counts as dead.
_LOOK_EVERY, _ANSWER_WITHIN, _LOOKS = 5.0, 5, 2


@dataclass
class Minion:
    """
    A minion that can build.

    slots
        how many builds at once

    images
        the names of those it can build

    silent
        how many questions in a row it has not answered

    jobs
        the IDs of the jobs it was given, by image

    missing
        the IDs of those that it was not running when last asked
    """

    id: str
    slots: int
    images: frozenset[str]
    silent: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    @property
    def alive(self) -> bool:
        return self.silent < _LOOKS


@dataclass(frozen=True)
class MinionBuild:
    """
    The build of one image.

    function, arguments
        the execution function that builds it, and its keyword arguments

    image
        its ``repository:tag``
    """

    function: str
    arguments: Mapping[str, Any]
    image: str


class MinionExecutor:
    """
    An :class:`~salt_ubiq.runs.scheduler.Executor` of Salt's minions.

    client
        a ``salt.client.LocalClient`` that listens to events

    minions
        those that are ready to build

    builds
        by the names of the images

    tick
        called about once a second while it waits

    An image is built where its parent was built in the same run. Where that
    minion has died, another builds it, and its parent if need be.
    """

    def __init__(
        self,
        client: Any,
        minions: Iterable[Minion],
        builds: Mapping[str, MinionBuild],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._minions = {minion.id: minion for minion in minions}
        self._builds = builds
        self._tick = tick
        self._homes: dict[str, str] = {}
        self._looked = time.monotonic()

    @property
    def slots(self) -> int:
        """How many builds the living minions can run at once."""
        return sum(minion.slots for minion in self._minions.values() if minion.alive)

    def start(self, name: str, attempt: int, parents: Mapping[str, Result]) -> bool:
        """Give an image to a minion; ``False`` where none that may build it has a free slot."""
        minion = self._minion_for(name, parents)
        if minion is None:
            return False
        published = self._client.run_job(
            [minion.id],
            self._builds[name].function,
            [name],
            kwarg=dict(self._builds[name].arguments),
            tgt_type="list",
            listen=True,
        )
        if not published:
            minion.silent = _LOOKS
            return False
        minion.jobs[name] = published["jid"]
        self._homes[name] = minion.id
        return True

    def wait(self, timeout: float) -> list[Result]:
        """Return the results that have come in, waiting for at least one."""
        deadline = time.monotonic() + timeout
        while True:
            self._tick()
            left = max(0.0, deadline - time.monotonic())
            results = self._returned(min(left, 1.0))
            if not results and time.monotonic() - self._looked > _LOOK_EVERY:
                results = self._look()
                self._looked = time.monotonic()
            if results or left == 0:
                return results

    def cancel(self, names: Iterable[str]) -> None:
        """Make builds clean up and end."""
        wanted = set(names)
        for minion in self._minions.values():
            for name in wanted & minion.jobs.keys():
                self._client.run_job(
                    [minion.id], "saltutil.term_job", [minion.jobs[name]], tgt_type="list"
                )

    def close(self) -> None:
        """Let go of the event bus."""
        self._client.destroy()

    def _minion_for(self, name: str, parents: Mapping[str, Result]) -> Minion | None:
        able = [each for each in self._minions.values() if each.alive and name in each.images]
        homes = {self._homes[parent] for parent in parents if parent in self._homes}
        at_home = [each for each in able if each.id in homes]
        free = [each for each in at_home or able if len(each.jobs) < each.slots]
        return min(free, key=lambda each: len(each.jobs) / each.slots, default=None)

    def _returned(self, timeout: float) -> list[Result]:
        """The result in the next event of the bus, if it is one of ours."""
        event = self._client.event.get_event(
            wait=max(timeout, 0.01), tag="salt/job/", match_type="startswith", full=True
        )
        try:
            returned = _Return.model_validate(event["data"] if event else {})
        except ValidationError:
            return []  # another kind of event, or what is none of Salt's
        minion = self._minions.get(returned.id)
        for name, jid in list(minion.jobs.items()) if minion else ():
            if minion and jid == returned.jid:
                minion.silent = 0
                del minion.jobs[name]
                return [self._result(name, minion, returned.value)]
        return []

    def _result(self, name: str, minion: Minion, returned: Any) -> Result:
        """What a minion has returned of that image, as far as it can be believed."""
        error = str(returned)
        if isinstance(returned, Mapping):
            try:
                result = Result.from_dict(returned)
            except (ValueError, TypeError, KeyError) as exc:
                error = f"minion {minion.id} returned what is no result: {_first_line(exc)}"
            else:
                if (result.name, result.image) == (name, self._builds[name].image):
                    return result
                error = f"minion {minion.id} returned the result of another image: {result.name}"
        return Result(name, self._builds[name].image, "failed", error=shortened(error))

    def _look(self) -> list[Result]:
        """Ask the minions whether they still run their jobs; fail those that are lost."""
        busy = [minion for minion in self._minions.values() if minion.jobs]
        if not busy:
            return []
        answers = self._client.cmd(
            [minion.id for minion in busy],
            "saltutil.running",
            timeout=_ANSWER_WITHIN,
            tgt_type="list",
        )
        return [result for minion in busy for result in _lost(minion, answers.get(minion.id))]


def _lost(minion: Minion, running: Any) -> list[Result]:
    """The jobs that a minion does not run any more, and will not return."""
    if not isinstance(running, list):
        minion.silent += 1
        if minion.alive:
            return []
        error = f"minion {minion.id} does not answer any more"
        gone = list(minion.jobs)
    else:
        minion.silent = 0
        known = {job.get("jid") for job in running if isinstance(job, Mapping)}
        error = f"minion {minion.id} lost the job"
        # It may be that the return is on its way: so it counts only the second time.
        gone = [name for name, jid in minion.jobs.items() if jid in minion.missing - known]
        minion.missing = set(minion.jobs.values()) - known
    for name in gone:
        del minion.jobs[name]
    return [Result(name=name, image="", action="failed", error=error) for name in gone]


class _Return(BaseModel):
    """The data of a job's return on the master's bus."""

    id: str
    jid: str
    value: Any = Field(alias="return")


def _first_line(exc: Exception) -> str:
    """Of pydantic's errors, the first with its place."""
    if isinstance(exc, ValidationError):
        error = exc.errors(include_url=False, include_input=False)[0]
        return f"{':'.join(map(str, error['loc']))}: {error['msg']}"
    return str(exc) or type(exc).__name__

"""
Runs a plan over slots: parents before children, the longest path first.

The :class:`Scheduler` decides what runs when and what becomes of the rest when
something fails; where and how an image is built is its :class:`Executor`'s.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, TypeAlias

from salt_ubiq.catalogue import graph
from salt_ubiq.human import human_duration
from salt_ubiq.results import Result

GRACE = 10.0
"""Seconds that a cancelled job has for cleaning up, before it is given up."""

LONGEST_WAIT = 1.0
"""
Seconds after which the scheduler looks up, even if the executor has nothing to say.

Python runs no signal handler during a wait that began just after the signal
came, so without a limit Ctrl-C could go unheard. What was refused is asked for
again then, too.
"""

CANCELLED = "cancelled"

Event: TypeAlias = Literal["started", "retrying", "built", "up-to-date", "failed", "skipped"]
Observer: TypeAlias = Callable[[Event, str, Result | None], None]


@dataclass(frozen=True)
class Job:
    """
    One image to build.

    parents
        those that are not among the jobs are taken to be there

    expected
        seconds it will take, ``None`` if nobody knows

    timeout
        seconds that each attempt may take

    image
        its reference, for the result if it never runs

    shares
        the names of what it makes first that other jobs go on from, unless that is there:
        while one makes it, the others would only wait
    """

    name: str
    parents: tuple[str, ...] = ()
    expected: float | None = None
    retries: int = 0
    allowed_to_fail: bool = False
    timeout: float = math.inf
    image: str = ""
    shares: tuple[str, ...] = ()


class Executor(Protocol):
    """
    Where jobs run.

    ``cancel`` is called from other threads and from signal handlers, while any
    of the other methods is at work and even after ``close``: it takes no lock
    that these hold.
    """

    @property
    def slots(self) -> int:
        """How many jobs can run at once; may change with time."""

    def start(self, name: str, attempt: int, parents: Mapping[str, Result]) -> bool:
        """
        Begin a job, and return without waiting for it.

        attempt
            1, or more if earlier ones failed

        parents
            the results of those parents that were jobs of this run

        Returns ``False`` if it can't begin now, but later perhaps.
        """

    def wait(self, timeout: float) -> list[Result]:
        """
        Return what has ended since the last call, waiting until there is something.

        Returns nothing after ``timeout`` seconds, and may do so before if it
        could begin a job now that it refused.
        """

    def cancel(self, names: Iterable[str]) -> None:
        """Make these jobs end soon, if they run; ``wait`` returns their results too."""

    def close(self) -> None:
        """End at once whatever still runs."""


class _Ready(NamedTuple):
    """A job that can start; they compare in the order in which to start them."""

    attempt: int
    minus_path: float
    minus_shares: int
    number: int
    name: str


@dataclass
class _Running:
    attempt: int
    started: float
    timed_out: bool = False


class Scheduler:
    """
    Runs jobs once, on one executor, which it closes.

    slots
        how many may run at once, ``None`` for as many as the executor can

    observe
        called in the thread of :meth:`run` with what happened, the job's name
        and, but for ``started``, its result

    ``results`` has what is known so far, and after :meth:`run`, even one that
    was interrupted, every job's result.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        executor: Executor,
        slots: int | None,
        observe: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if slots is not None and slots < 1:
            raise ValueError("without slots nothing would ever run")
        self._jobs = {job.name: job for job in jobs}
        self._executor = executor
        self._slots = slots
        self._observe = observe
        self._clock = clock
        self.results: dict[str, Result] = {}

        edges = _edges(self._jobs.values())
        self._children = graph.children(edges)
        self._missing = {name: len(parents) for name, parents in edges.items()}
        paths = _paths(self._jobs.values(), edges)
        self._entries = {
            name: _Ready(1, -paths[name], -len(job.shares), number, name)
            for number, (name, job) in enumerate(self._jobs.items())
        }
        self._ready = [entry for name, entry in self._entries.items() if not self._missing[name]]
        heapq.heapify(self._ready)
        self._running: dict[str, _Running] = {}
        self._made: set[str] = set()
        self._failed_before: dict[str, Result] = {}
        self._deadlines: list[tuple[float, str, int]] = []
        self._idle_since: float | None = None
        self._cancelled = False
        self._ended = False

    def run(self) -> dict[str, Result]:
        """
        Run all jobs and return their results by name, in the order of the jobs.

        On whatever interrupts it, it cancels what runs, completes ``results``,
        and raises it again.
        """
        try:
            while not self._cancelled:
                self._fill()
                self._drop_unplaceable()
                if not self._running and not self._ready:
                    break
                self._take(self._executor.wait(self._patience()))
                self._enforce_timeouts()
        finally:
            self._finish()
        return self.results

    def cancel(self) -> None:
        """
        Make :meth:`run` return soon; to be called from anywhere.

        What runs is cancelled and has failed, what waits is skipped; what had
        ended by then keeps its result.
        """
        self._cancelled = True
        if not self._ended:
            self._executor.cancel(tuple(self._running))

    # starting

    def _fill(self) -> None:
        """Start what is ready, as long as there are slots."""
        refused = []
        while self._ready and self._has_slot() and not self._cancelled:
            entry = self._next()
            if not self._start(entry):
                refused.append(entry)
        for entry in refused:
            heapq.heappush(self._ready, entry)

    def _next(self) -> _Ready:
        """Take the first that is ready, or another that would wait less in its slot."""
        making = {share for name in self._running for share in self._jobs[name].shares}
        making -= self._made
        seen = []
        while True:
            entry = heapq.heappop(self._ready)
            waits = len(making.intersection(self._jobs[entry.name].shares))
            seen.append((waits, entry))
            if not waits or not self._ready:
                break
        (_, chosen), *others = sorted(seen)
        for _, entry in others:
            heapq.heappush(self._ready, entry)
        return chosen

    def _has_slot(self) -> bool:
        slots = self._executor.slots
        return len(self._running) < (slots if self._slots is None else min(slots, self._slots))

    def _start(self, entry: _Ready) -> bool:
        job = self._jobs[entry.name]
        parents = {name: self.results[name] for name in job.parents if name in self.results}
        if not self._executor.start(job.name, entry.attempt, parents):
            return False
        now = self._clock()
        self._running[job.name] = _Running(entry.attempt, now)
        if job.timeout < math.inf:
            heapq.heappush(self._deadlines, (now + job.timeout, job.name, entry.attempt))
        self._observe("started", job.name, None)
        return True

    def _drop_unplaceable(self) -> None:
        """Fail what the idle executor has refused for as long as it might have run."""
        if self._running or not self._ready:
            self._idle_since = None
            return
        now = self._clock()
        if self._idle_since is None:
            self._idle_since = now
        waited = now - self._idle_since
        timeouts = {entry.name: self._jobs[entry.name].timeout for entry in self._ready}
        self._ready = [entry for entry in self._ready if timeouts[entry.name] > waited]
        heapq.heapify(self._ready)
        for name, timeout in timeouts.items():
            if timeout <= waited:
                error = f"nothing could build it for {human_duration(waited)}"
                self._fail(self._own_result(name, "failed", error))

    # waiting

    def _patience(self) -> float:
        """How long to wait for results until something else has to be done."""
        if not self._deadlines:
            return LONGEST_WAIT
        return min(LONGEST_WAIT, max(0.0, self._deadlines[0][0] - self._clock()))

    def _enforce_timeouts(self) -> None:
        """Cancel what has run too long; give up what doesn't end even then."""
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, name, attempt = heapq.heappop(self._deadlines)
            running = self._running.get(name)
            if running is None or running.attempt != attempt:
                continue  # it ended in time
            if running.timed_out:
                error = f"{self._timed_out(name)} and did not end when told to"
                result = self._own_result(name, "failed", error)
                del self._running[name]
                self._fail(result)
            else:
                running.timed_out = True
                heapq.heappush(self._deadlines, (now + GRACE, name, attempt))
                self._executor.cancel((name,))

    def _timed_out(self, name: str) -> str:
        return f"timed out after {human_duration(self._jobs[name].timeout)}"

    # what came of them

    def _take(self, results: Iterable[Result]) -> None:
        for result in results:
            running = self._running.pop(result.name, None)
            if running is None:
                continue  # it ended after it was given up
            result = replace(result, attempts=running.attempt)
            if result.is_there:
                self._succeed(result)
            elif self._cancelled:
                self._record(replace(result, error=CANCELLED))
            else:
                if running.timed_out:
                    result = replace(result, error=self._timed_out(result.name))
                self._retry_or_fail(result)

    def _succeed(self, result: Result) -> None:
        self._record(result)
        self._made.update(self._jobs[result.name].shares)
        for child in self._children.get(result.name, ()):
            self._missing[child] -= 1
            if not self._missing[child]:
                heapq.heappush(self._ready, self._entries[child])

    def _retry_or_fail(self, result: Result) -> None:
        if result.action == "failed" and result.attempts <= self._jobs[result.name].retries:
            again = self._entries[result.name]._replace(attempt=result.attempts + 1)
            heapq.heappush(self._ready, again)
            self._failed_before[result.name] = result
            self._observe("retrying", result.name, result)
        else:
            self._fail(result)

    def _fail(self, result: Result) -> None:
        """Record a failure, and skip all that waits for it."""
        self._record(result)
        waiting = [result]
        while waiting:
            parent = waiting.pop()
            for child in self._children.get(parent.name, ()):
                if child not in self.results:
                    error = f"parent {parent.name} {_past(parent)}"
                    skipped = self._own_result(child, "skipped", error)
                    self._record(skipped)
                    waiting.append(skipped)

    def _record(self, result: Result) -> None:
        self.results[result.name] = result
        self._observe(result.action, result.name, result)

    def _own_result(self, name: str, action: Literal["failed", "skipped"], error: str) -> Result:
        """The result of a job that the executor gave none for."""
        running = self._running.get(name)
        return Result(
            name=name,
            image=self._jobs[name].image,
            action=action,
            error=error,
            duration=self._clock() - running.started if running else 0.0,
            attempts=running.attempt if running else 1,
        )

    # the end

    def _finish(self) -> None:
        """Cancel what still runs, and leave a result for every job."""
        self._cancelled = True
        try:
            self._drain()
        finally:
            self._ended = True
            left = {name: self._unfinished(name) for name in self._jobs if name not in self.results}
            results = self.results | left
            self.results = {name: results[name] for name in self._jobs}
            try:
                self._executor.close()
            finally:
                for result in left.values():
                    self._observe(result.action, result.name, result)

    def _unfinished(self, name: str) -> Result:
        if name in self._running:
            return self._own_result(name, "failed", CANCELLED)
        # Of what would have been tried again, it is known how it failed.
        return self._failed_before.get(name) or self._own_result(name, "skipped", CANCELLED)

    def _drain(self) -> None:
        """Give what runs the time to clean up."""
        if self._running:
            self._executor.cancel(tuple(self._running))
        limit = self._clock() + GRACE
        while self._running and (left := limit - self._clock()) > 0:
            self._take(self._executor.wait(min(left, LONGEST_WAIT)))


def _edges(jobs: Iterable[Job]) -> dict[str, tuple[str, ...]]:
    """Each job's parents among the jobs."""
    parents = {job.name: job.parents for job in jobs}
    return {
        name: tuple(parent for parent in among if parent in parents)
        for name, among in parents.items()
    }


def _paths(jobs: Iterable[Job], edges: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Each job's critical path; what nobody has timed takes as long as the others on average."""
    expected = {job.name: job.expected for job in jobs if job.expected is not None}
    average = sum(expected.values()) / len(expected) if expected else 1.0
    return graph.critical_path(edges, expected, average)


def _past(result: Result) -> str:
    return "was skipped" if result.action == "skipped" else "failed"


def exit_status(results: Mapping[str, Result], jobs: Iterable[Job]) -> int:
    """
    Return 1 if a job failed or was skipped that must not, else 0.

    results
        one for every job

    A failure counts unless it is allowed; what was skipped because of a failure
    counts as little or as much as that does.
    """
    jobs = list(jobs)
    edges = _edges(jobs)
    gone = {name for name in edges if not results[name].is_there}
    causes = (job for job in jobs if job.name in gone and gone.isdisjoint(edges[job.name]))
    return int(any(not cause.allowed_to_fail for cause in causes))

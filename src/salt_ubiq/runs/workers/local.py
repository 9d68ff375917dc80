"""
Builds in processes of this machine, one for each.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NoReturn

from salt_ubiq.errors import UbiqError
from salt_ubiq.results import Result

_ASIDE = ""
"""The name of what is no image."""

_SECONDS_TO_CLEAN_UP = 10
_fork = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    results: Connection


class LocalExecutor:
    """
    An :class:`~salt_ubiq.runs.scheduler.Executor` of this machine's processes.

    slots
        how many builds run at once

    build
        builds the image of that name; is called in a process of its own

    tick
        called twice a second while it waits
    """

    def __init__(
        self, slots: int, build: Callable[[str], Result], tick: Callable[[], None] = lambda: None
    ) -> None:
        self.slots = slots
        self._build = build
        self._tick = tick
        self._workers: dict[str, _Worker] = {}

    def start(self, name: str, attempt: int, parents: Mapping[str, Result]) -> bool:
        """Begin to build an image."""
        self._begin(name, self._build)
        return True

    def aside(self, work: Callable[[], object]) -> None:
        """
        Begin, in no slot, what builds will need; they do it themselves where it fails, and say why.
        """

        def attempt(_: str) -> None:
            with suppress(UbiqError, OSError):
                work()

        self._begin(_ASIDE, attempt)

    def _begin(self, name: str, work: Callable[[str], Result | None]) -> None:
        receiving, sending = _fork.Pipe(duplex=False)
        process = _fork.Process(target=_work, args=(work, name, sending))
        process.start()
        sending.close()
        self._workers[name] = _Worker(process, receiving)

    def wait(self, timeout: float) -> list[Result]:
        """Return the results of the builds that have ended, waiting for at least one."""
        deadline = time.monotonic() + timeout
        while True:
            self._tick()
            left = max(0.0, deadline - time.monotonic())
            ready = wait([each.results for each in self._workers.values()], min(left, 0.5))
            ended = [name for name, each in self._workers.items() if each.results in ready]
            results = [result for name in ended if (result := self._received(name))]
            if results or left == 0:
                return results

    def cancel(self, names: Iterable[str]) -> None:
        """Make builds clean up and end."""
        for name in names:
            worker = self._workers.get(name)
            if worker and worker.process.is_alive():
                worker.process.terminate()

    def close(self) -> None:
        """Kill what still runs."""
        if aside := self._workers.get(_ASIDE):
            aside.process.terminate()
            aside.process.join(_SECONDS_TO_CLEAN_UP)
        for worker in self._workers.values():
            worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def _received(self, name: str) -> Result | None:
        """What a worker sent: its result, or a record for this process's log."""
        worker = self._workers[name]
        try:
            message = worker.results.recv()
        except (EOFError, OSError):  # it died, the latter in the middle of a message
            message = None
        if isinstance(message, logging.LogRecord):
            logging.getLogger(message.name).handle(message)
            return None
        del self._workers[name]
        worker.process.join()
        if name == _ASIDE:
            return None
        if isinstance(message, Result):
            return message
        how = f"exit {worker.process.exitcode}"
        if (worker.process.exitcode or 0) < 0:
            how = f"signal {-(worker.process.exitcode or 0)}"
        return Result(name=name, image="", action="failed", error=f"its process died ({how})")


class _Forward(logging.Handler):
    """Sends log records to the parent process, which knows where they belong."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), ()
        record.exc_info = record.exc_text = None
        with suppress(OSError):  # the parent died: nobody listens, and cleaning up goes on
            self._connection.send(record)


def _work(build: Callable[[str], Result | None], name: str, connection: Connection) -> None:
    """What a worker process does."""
    # Without its parent nobody would take the result, or cancel it.
    signal.signal(signal.SIGTERM, _end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent and os.getppid() != parent.pid:
        return  # it died before that
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the parent cancels
    log = logging.getLogger("salt_ubiq")
    log.handlers, log.propagate = [_Forward(connection)], False
    log.setLevel(logging.DEBUG)  # the parent knows what is to be shown
    result = build(name)
    with suppress(BrokenPipeError):  # the parent died
        connection.send(result)


def _end(*_: object) -> NoReturn:
    # Salt, the parent and its death may all say it: once is enough, and nothing cuts cleaning off.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)

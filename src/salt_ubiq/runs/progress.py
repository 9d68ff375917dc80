"""
Showing how builds go: on a terminal what runs now, elsewhere a line for each event, and one
a minute for what takes long.

Lines are records of the log. Where someone reads the standard error of ``salt-call`` or
``salt-run``, they are there whatever the log level: CI services end a job that is silent.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from salt_ubiq.human import human_duration
from salt_ubiq.results import Result

log = logging.getLogger(__name__)
_log = logging.getLogger("salt_ubiq")

_COMMANDS = ("salt-call", "salt-run")
_REMIND_EVERY = 60  # seconds


@contextmanager
def told() -> Iterator[None]:
    """
    Print what the log has of builds on standard error, at any log level.

    Not on a terminal, where :class:`Progress` shows more, nor in a daemon, whose standard
    error nobody reads.
    """
    if sys.stderr.isatty() or Path(sys.argv[0]).name not in _COMMANDS:
        yield
        return
    lines, level = _Lines(), _log.level
    _log.addHandler(lines)
    _log.setLevel(min(logging.INFO, _log.getEffectiveLevel()))
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(lines)


class Progress:
    """
    A context in which :meth:`observe` shows what happens to ``total`` images.

    live
        whether a terminal shows what runs now
    """

    def __init__(
        self, total: int, live: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._clock = clock
        self._done = 0
        self._running: dict[str, float] = {}
        self._reminded: dict[str, float] = {}
        self._steps = _Steps()
        self._live: Live | None = None
        if live and sys.stderr.isatty():
            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)

    def __enter__(self) -> Progress:
        _log.addHandler(self._steps)
        if self._live:
            # The log's lines would be written across what is shown.
            _log.propagate = False
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _log.removeHandler(self._steps)
        if self._live:
            self._live.stop()
            _log.propagate = True

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Refresh it every second, from a thread, while this one is at work."""
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(1):
                self.refresh()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def observe(self, event: str, name: str, result: Result | None) -> None:
        """Take note of an event of the scheduler."""
        if event == "started":
            self._running[name] = self._reminded[name] = self._clock()
        else:
            self._running.pop(name, None)
        if event not in ("started", "retrying"):
            self._done += 1
        line = f"[{self._done}/{self._total}] {_line(event, name, result)}"
        if self._live is None:
            log.info("%s", line)
        elif event != "started":
            self._live.console.print(line, highlight=False, markup=False)
        self.refresh()

    def refresh(self) -> None:
        """Show it where there is a terminal; elsewhere, remind of what takes long."""
        if self._live:
            self._live.update(self._table(), refresh=True)
            return
        now = self._clock()
        for name, started in list(self._running.items()):
            if now - self._reminded[name] >= _REMIND_EVERY:
                self._reminded[name] = now
                step = self._steps.latest.get(name, "started")
                log.info("%s, for %s now: %s", name, human_duration(now - started), step)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, started in self._running.items():
            seconds = human_duration(self._clock() - started)
            table.add_row(name, self._steps.latest.get(name, ""), seconds)
        table.add_row(f"{self._done} of {self._total} done")
        return table


def _line(event: str, name: str, result: Result | None) -> str:
    if result is None:
        return f"{name} {event}"
    text = f"{name} {event.replace('-', ' ')}"
    if result.action != "skipped" and result.duration:
        text += f" in {human_duration(result.duration)}"
    return f"{text}: {result.error}" if result.error else text


class _Steps(logging.Handler):
    """Keeps the latest of what was logged of each image, as ``name: step``."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        name, _, step = record.getMessage().partition(": ")
        self.latest[name] = step


class _Lines(logging.Handler):
    """Prints what the log does not print there itself: steps, as Salt shows warnings anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        return logging.INFO <= record.levelno < logging.WARNING and not any(
            isinstance(each, logging.StreamHandler)
            and each.stream is sys.stderr
            and each.level <= record.levelno
            for each in logging.root.handlers
        )

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # whoever read it has gone, and the build goes on
            print(record.getMessage(), file=sys.stderr, flush=True)

"""
Showing how a run goes: on a terminal what runs now, elsewhere a line for each event.
"""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from salt_ubiq.report import Result, human_duration

log = logging.getLogger(__name__)
_log = logging.getLogger("salt_ubiq")


class Progress:
    """
    A context in which :meth:`observe` shows what happens to ``total`` images.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._running: dict[str, float] = {}
        self._steps = _Steps()
        self._live: Live | None = None
        if sys.stderr.isatty():
            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)

    def __enter__(self) -> Progress:
        if self._live:
            # The log's lines would be written across what is shown.
            _log.addHandler(self._steps)
            _log.propagate = False
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()
            _log.removeHandler(self._steps)
            _log.propagate = True

    def observe(self, event: str, name: str, result: Result | None) -> None:
        """Take note of an event of the scheduler."""
        if event == "started":
            self._running[name] = time.monotonic()
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
        """Show it, where there is a terminal."""
        if self._live:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, started in self._running.items():
            seconds = human_duration(time.monotonic() - started)
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

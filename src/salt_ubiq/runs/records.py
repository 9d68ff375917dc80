"""
Records of past runs: one JSON file each, in a directory of this host.

They are read for people, and by the scheduler, which wants to know how long
each image takes.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from salt_ubiq.errors import UbiqError, UnknownRun, brief
from salt_ubiq.results import Result
from salt_ubiq.runs.summary import summary
from salt_ubiq.workspace.files import file_name, opened, private_directory, read

_SUFFIX = ".json"
_RECENT = 20
"""How many records to look through for what an image's latest build took."""


@dataclass(frozen=True)
class Run:
    """
    What became of one run; times in seconds since the epoch.

    error
        why it ended before any image was tried
    """

    id: str
    started: float
    finished: float
    results: tuple[Result, ...]
    error: str | None = None

    def summary(self) -> dict[str, Any]:
        """In short: ``id``, ``started``, ``duration`` (seconds) and what became of how many."""
        return {
            "id": self.id,
            "started": self.started,
            "duration": round(self.finished - self.started, 1),
            "summary": f"failed: {self.error}" if self.error else summary(self.results),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it is in the file."""
        return {
            "id": self.id,
            "started": self.started,
            "finished": self.finished,
            "results": [result.to_dict() for result in self.results],
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Run:
        """The run that :meth:`to_dict` made ``plain`` of."""
        return cls(
            id=str(plain["id"]),
            started=float(plain["started"]),
            finished=float(plain["finished"]),
            results=tuple(Result.from_dict(result) for result in plain["results"]),
            error=plain.get("error"),
        )


class Runs:
    """
    The records in ``directory``, which is made when the first is saved.

    A file that can't be read, or isn't a record, counts as not there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(
        self,
        run_id: str,
        results: Iterable[Result],
        started: float,
        finished: float,
        error: str | None = None,
    ) -> Path:
        """Write the record of a run, in one piece or not at all, and return its file."""
        run = Run(run_id, started, finished, tuple(results), error)
        path = self._path(run_id)
        private_directory(self._directory)
        new = path.with_name(f"{path.name}.new")
        with opened(new, "w") as handle:
            json.dump(run.to_dict(), handle, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        # By the file's time records are found in order, without reading them.
        os.utime(new, (finished, finished))
        new.replace(path)
        return path

    @contextmanager
    def recording_failure(self) -> Iterator[None]:
        """Record a run that fails in here, before any image is tried: nobody may see it else."""
        started = time.time()
        try:
            yield
        except UbiqError as exc:
            self.save(new_run_id(), (), started, time.time(), str(exc))
            raise

    def load(self, run_id: str) -> Run:
        """Return a run; raises :class:`~salt_ubiq.errors.UnknownRun`."""
        run = _read(self._path(run_id))
        if run is None:
            latest = next(self._runs(), None)
            hint = f"; the latest is '{latest.id}'" if latest else "; there are none yet"
            raise UnknownRun(f"no record of a run '{brief(run_id)}'{hint}")
        return run

    def list(self, limit: int) -> tuple[Run, ...]:
        """Return at most ``limit`` runs, the latest first."""
        return tuple(islice(self._runs(), limit))

    def durations(self, files: int = _RECENT) -> dict[str, float]:
        """
        Return how long each image took, in seconds, the last time it was built.

        files
            how many records to look through, from the latest on
        """
        found: dict[str, float] = {}
        for path in self._latest_first()[:files]:
            run = _read(path)
            for result in run.results if run else ():
                if result.action == "built":
                    found.setdefault(result.name, result.duration)
        return found

    def keep(self, count: int) -> None:
        """Delete all records but the latest ``count``, and what dead runs left half-written."""
        kept = self._latest_first()[:count]
        for path in reversed(self._latest_first(f"*{_SUFFIX}*")):
            if path in kept:
                break
            path.unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._directory / f"{file_name(run_id)}{_SUFFIX}"

    def _runs(self) -> Iterator[Run]:
        for path in self._latest_first():
            run = _read(path)
            if run:
                yield run

    def _latest_first(self, pattern: str = f"*{_SUFFIX}") -> Sequence[Path]:
        times = {}
        for path in self._directory.glob(pattern):
            with suppress(FileNotFoundError):  # another run has just deleted it
                times[path] = path.stat().st_mtime
        return sorted(times, key=lambda path: (times[path], path.name), reverse=True)


def _read(path: Path) -> Run | None:
    try:
        return Run.from_dict(json.loads(read(path) or ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def new_run_id() -> str:
    """A name for a run, such as ``20261123T175145Z-c86522``; they sort by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"

"""
What builds keep on this host: a directory below the minion's cachedir with locks,
slots and logs.

Locks are advisory file locks, so that a killed process can't leave one behind.
"""

from __future__ import annotations

import fcntl
import logging
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from salt_ubiq.catalogue.references import OUR_HOST, split
from salt_ubiq.workspace.files import file_name, opened, private_directory, read, write

log = logging.getLogger(__name__)

PRIVATE = f"{OUR_HOST}/build"
"""The repository of images whose own tags have not moved yet."""

AT_WORK = "at-work"
"""The lock that everybody has, together, who uses images that have no tag of their own."""


def _token() -> str:
    return uuid.uuid4().hex[:8]


@dataclass(frozen=True)
class Slot:
    """
    A place where one build at a time runs.

    ``name`` is that of the build's container; it is unique to this workspace,
    so whatever bears it while the slot is free was left behind. Each has a
    cachedir of its own: parallel builds that shared one would corrupt it.
    """

    name: str
    path: Path
    token: str = field(default_factory=_token, compare=False)
    """Another each time: what the engine still does for a dead build is not taken for ours."""

    @property
    def cachedir(self) -> Path:
        """The cachedir of Salt while it builds."""
        return self.path / "cache"

    @property
    def pillar(self) -> Path:
        """The pillar root, there only while a build needs it."""
        return self.path / "pillar"

    @property
    def reference(self) -> str:
        """The private reference of the image until its own tags move."""
        return f"{PRIVATE}:{self.name}.{self.token}"

    def owns(self, reference: str) -> bool:
        """Say whether that is the private reference of a build in this slot, now or before."""
        return split(reference).tag.partition(".")[0] == self.name

    @property
    def layers(self) -> list[str]:
        """The IDs of the images that nobody needs if the build does not succeed, latest first."""
        return (read(self.path / "layers") or "").split()[::-1]

    def record_layers(self, layers: Iterable[str]) -> None:
        """Set them, so that they are known even if this process is killed."""
        write(self.path / "layers", "\n".join(layers))

    @contextmanager
    def temporary_files(self) -> Iterator[None]:
        """
        Have this process's temporary files in the slot.

        Salt writes pillar there; what a killed process has left, :meth:`clean` finds.
        """
        directory, before = self.path / "tmp", tempfile.tempdir
        private_directory(directory)
        tempfile.tempdir = str(directory)
        try:
            yield
        finally:
            tempfile.tempdir = before

    def clean(self) -> None:
        """Remove the files of a build, perhaps of a dead one."""
        for directory in (self.pillar, self.path / "tmp"):
            shutil.rmtree(directory, ignore_errors=True)


def root(cachedir: str) -> Path:
    """The directory of what builds keep on a host; all in it is for its owner alone."""
    return private_directory(Path(cachedir) / "ubiq")


class Workspace:
    """The directory of this host's builds."""

    def __init__(self, cachedir: str) -> None:
        self.path = root(cachedir)
        self._slots = self.path / "slots"
        self._locks = self.path / "locks"
        for directory in (self._slots, self._locks, self.path / "logs"):
            private_directory(directory)
        self.slot_prefix = f"salt-ubiq-{self._own_id()}-"

    def log_of(self, image: str) -> Path:
        """Return the file for the log of an image's latest build."""
        return self.path / "logs" / f"{file_name(image)}.log"

    @contextmanager
    def lock(self, name: str, waiting: str = "", shared: bool = False) -> Iterator[None]:
        """
        Hold the lock of that name; log ``waiting`` if somebody else has it.

        shared
            together with others who share it
        """
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with opened(self._lock_path(name), "w") as handle:
            if not _try_lock(handle.fileno(), how):
                if waiting:
                    log.info("%s", waiting)
                fcntl.flock(handle, how)
            yield

    def lock_if_free(self, name: str) -> AbstractContextManager[bool]:
        """Hold the lock of that name if nobody else does; yields whether that is so."""
        return _locked_if_free(self._lock_path(name))

    def _lock_path(self, name: str) -> Path:
        return self._locks / file_name(name)

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Occupy the first free slot."""
        for number in count():
            with self._slot(number) as slot:
                if slot:
                    yield slot
                    return

    @contextmanager
    def free_slots(self) -> Iterator[list[Slot]]:
        """Occupy all slots that were ever made and are free, for cleaning up after them."""
        numbers = sorted(int(path.name) for path in self._slots.iterdir() if path.name.isdigit())
        with ExitStack() as stack:
            slots = [stack.enter_context(self._slot(number)) for number in numbers]
            yield [slot for slot in slots if slot]

    @contextmanager
    def _slot(self, number: int) -> Iterator[Slot | None]:
        path = self._slots / str(number)
        private_directory(path)
        private_directory(path / "cache")
        with _locked_if_free(path / "lock") as is_ours:
            yield Slot(f"{self.slot_prefix}{number}", path) if is_ours else None

    def _own_id(self) -> str:
        """Eight random digits that tell this workspace's containers from another's."""
        path = self.path / "id"
        with self.lock("id"):
            known = read(path)
            if known is None or not re.fullmatch(r"[0-9a-f]{8}", known):
                known = uuid.uuid4().hex[:8]
                write(path, known)
            return known


@contextmanager
def _locked_if_free(path: Path) -> Iterator[bool]:
    with opened(path, "w") as handle:
        yield _try_lock(handle.fileno())


def _try_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

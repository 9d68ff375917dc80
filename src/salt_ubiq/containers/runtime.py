"""
The Salt runtime: a volume with a portable Python and Salt, mounted into every
build container.

With it a base needs no Python, Salt is neither copied nor compiled for each
build, and what Salt writes is outside the image. The volume is filled through
the engine's API alone, so the engine may be on another host.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import docker.types
from packaging.requirements import Requirement

from salt_ubiq.catalogue.models import Bootstrap, Runtime
from salt_ubiq.catalogue.references import OUR_HOST
from salt_ubiq.containers import runtime_contents, runtime_packages
from salt_ubiq.containers.runtime_packages import PythonKind
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine import bootstrap
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import BuildError, NameTaken
from salt_ubiq.workspace.files import read, write
from salt_ubiq.workspace.slots import Workspace

log = logging.getLogger(__name__)

MOUNT = "/dev/salt-ubiq/runtime"
NAME = "salt-ubiq-runtime-"
_COMPLETE = "complete"
_NEVER = ["never started"]
_EMPTY = b"\0" * tarfile.RECORDSIZE
_FILES = files("salt_ubiq.inside")
_MOUNTED = ("salt_call.py", "watched.py", "host_files.py", "stop.py", "apt.conf")


class RuntimeVolume:
    """
    The volume of one runtime: named by the digest of what it is made from, made once.

    What is in it runs as root in every build, so nothing is started for it of any image but the
    one that it is made from, and it is used only where its contents have the digest that whoever
    made it has written there last.
    """

    def __init__(self, source: Runtime, engine: Engine, workspace: Workspace, thin: Thin) -> None:
        self._source = source
        self._engine = engine
        self._workspace = workspace
        self._thin = thin
        self.name = f"{NAME}{self._digest()}"
        self.pip = source.pip

    def ensure(self) -> str:
        """
        Make the volume unless it is there, and return its name.

        Raises :class:`~salt_ubiq.errors.UbiqError` where that fails; then there is none.
        """
        if not self._known():
            with self._workspace.lock("runtime", "waiting for the runtime that another makes"):
                if not self._known():
                    if self._created() is None or not self._is_whole():
                        self._make()
                    write(self._record, self._created() or "")
        return self.name

    @property
    def _record(self) -> Path:
        """When the volume was made that was found complete, as the engine has it."""
        return self._workspace.path / f"{self.name}.created"

    def _created(self) -> str | None:
        volume = self._engine.volumes.find(self.name)
        return str(volume["CreatedAt"]) if volume else None

    def _known(self) -> bool:
        known = read(self._record)
        return known is not None and self._created() == known

    def _is_whole(self) -> bool:
        """Look at a volume through a container of an empty image, which is never started."""
        here = f"{self._workspace.slot_prefix}runtime"
        reference = f"{OUR_HOST}/empty:{here}"
        self._engine.containers.remove(here)  # a dead process may have left it
        self._engine.images.import_tar(_EMPTY, reference, ())
        try:
            image = self._engine.images.existing(reference)
            with self._engine.containers.trial(
                image.id, here, [self._mount], command=_NEVER
            ) as container:
                return self._is_complete(container)
        finally:
            self._engine.images.remove(reference)

    def _is_complete(self, container: str) -> bool:
        if not self._engine.containers.has_file(container, f"{MOUNT}/{_COMPLETE}"):
            return False
        told = self._engine.containers.read_file(container, f"{MOUNT}/{_COMPLETE}").decode(
            errors="replace"
        )
        return told == self._contents(container)

    def _contents(self, container: str) -> str:
        return runtime_contents.digest_of(self._engine.containers.read(container, MOUNT), _COMPLETE)

    def _make(self) -> None:
        """
        Fill the volume, unless somebody has done it.

        The container through which it is filled bears the volume's name: so
        only one process fills it, from whatever host.
        """
        log.info("making the Salt runtime %s", self.name)
        collected = self._collected_here() if self._source.host else None
        with self._image() as image:
            while not self._filled(image, collected):
                self._engine.volumes.remove(self.name)  # what a dead process has left of it

    def _filled(self, image: ImageInfo, collected: bytes | None) -> bool:
        """Whether the volume is filled; if not, something is in it."""
        self._engine.volumes.create(self.name, {f"{LABEL}.kind": "runtime"})
        try:
            with self._filling(image) as container:
                if self._is_complete(container):
                    return True
                if self._engine.containers.has_file(container, f"{MOUNT}/bin"):
                    return False
                if collected is None:
                    self._collect_in(container, image)
                else:
                    self._engine.containers.put_tar(container, MOUNT, collected)
                own = {name: _FILES.joinpath(name).read_bytes() for name in _MOUNTED}
                self._engine.containers.put(container, MOUNT, own)
                complete = {_COMPLETE: self._contents(container).encode()}
                self._engine.containers.put(container, MOUNT, complete)
                return True
        except BaseException:
            self._engine.volumes.remove(self.name)
            raise

    @contextmanager
    def _filling(self, image: ImageInfo) -> Iterator[str]:
        """A container with the volume, not started, which nobody else has at the same time."""
        packages = ["/packages.tar"] if self._source.pip else []
        # Of this workspace nobody else is at it, as this process has the lock.
        name, owner = f"{self.name}-filling", self._workspace.slot_prefix
        while True:
            try:
                with self._engine.containers.trial(
                    image.id,
                    name,
                    [self._mount],
                    entrypoint=["python3", "/collect.py", MOUNT, MOUNT, "/thin.tgz", *packages],
                    healthcheck={"test": ["NONE"]},
                    labels={f"{LABEL}.owner": owner},
                    network_disabled=True,
                    user="0",
                ) as container:
                    yield container
                    return
            except NameTaken:
                if self._engine.containers.in_use(name, owner):
                    time.sleep(1)
                else:
                    self._engine.containers.remove(name)

    @property
    def _mount(self) -> docker.types.Mount:
        return docker.types.Mount(MOUNT, self.name)

    def _collect_in(self, container: str, image: ImageInfo) -> None:
        """Run the collecting script in a container of the image that has the Python."""
        sent = {
            "collect.py": _FILES.joinpath("collect.py").read_bytes(),
            "thin.tgz": self._thin.tarball().read_bytes(),
        }
        if self._source.pip:
            kind = self._kind(image)
            sent["packages.tar"] = runtime_packages.fetched(self._source.pip, kind)
        self._engine.containers.put(container, "/", sent)
        failure = self._engine.containers.try_start(container)
        if not failure and self._engine.containers.wait(container):
            failure = "".join(
                f"\n  {line}" for line in self._engine.containers.last_lines(container, 3)
            )
        if failure:
            raise BuildError(f"can't make the Salt runtime of {self._origin()}: {failure}")

    def _kind(self, image: ImageInfo) -> PythonKind:
        """Of the image's Python."""
        here = f"{self._workspace.slot_prefix}runtime"
        self._engine.containers.remove(here)  # a dead process may have left it
        with self._engine.containers.trial(
            image.id,
            here,
            entrypoint=["python3", "-c", runtime_packages.ASK_KIND],
            healthcheck={"test": ["NONE"]},
            network_disabled=True,
            user="0",
        ) as container:
            printed = self._engine.containers.try_start(container)
            if not printed:
                self._engine.containers.wait(container)
                printed = "".join(self._engine.containers.last_lines(container, 1))
        return PythonKind.read(printed)

    def _collected_here(self) -> bytes:
        """A tar of the Python that this process runs in."""
        with tempfile.TemporaryDirectory(prefix="ubiq-runtime-") as made:
            directory = Path(made, "runtime")
            given = [str(directory), MOUNT, str(self._thin.tarball())]
            if self._source.pip:
                kind = PythonKind.of_this_host()
                packages = Path(made, "packages.tar")
                packages.write_bytes(runtime_packages.fetched(self._source.pip, kind))
                given.append(str(packages))
            with as_file(_FILES.joinpath("collect.py")) as script:
                done = subprocess.run(
                    [sys.executable, str(script), *given],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                tail = done.stderr.strip().splitlines()[-1:]
                raise BuildError(f"can't make the Salt runtime of this host's Python: {tail}")
            return runtime_packages.tar_of(str(directory))

    @contextmanager
    def _image(self) -> Iterator[ImageInfo]:
        """The image to fill it from; one that is made for that only for as long as needed."""
        source = self._source
        if source.image:
            yield self._engine.images.find(source.image) or self._engine.images.pull(source.image)
            return
        made = f"{OUR_HOST}/runtime:{self._workspace.slot_prefix}{source.suite}"
        if source.host:
            self._engine.images.import_tar(_EMPTY, made, ())
        elif not self._engine.images.find(made):  # a dead process may have left it
            recipe = Bootstrap(
                image=made,
                suite=source.suite,
                mirror=source.mirror,
                keyring=source.keyring,
                variant="extract",  # nothing of it but Python ever runs
                # Packages in C++ expect its library of any system.
                include=("python3", "libstdc++6") if source.pip else ("python3",),
            )
            bootstrap.make(recipe, self._engine, "set ubiq:runtime to {image: …} or {host: true}")
        try:
            yield self._engine.images.existing(made)
        finally:
            self._engine.images.remove(made)

    def _origin(self) -> str:
        return self._source.image or f"Debian's {self._source.suite}"

    def _digest(self) -> str:
        """Of all that the content depends on; not of time or place."""
        source = self._source
        image = self._engine.images.find(source.image) if source.image else None
        content = {
            "source": source.model_dump(),
            "image": image.id if image else None,
            "python": [sys.version, sys.executable] if source.host else None,
            "architecture": self._engine.version()["Arch"],
            "packages": _packages(),
            "files": {
                name: _FILES.joinpath(name).read_text() for name in ("collect.py", *_MOUNTED)
            },
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _packages() -> list[str]:
    """Name and version of Salt, its extensions, and what it requires."""
    extensions = {
        entry.dist.name
        for entry in importlib.metadata.entry_points(group="salt.loader")
        if entry.dist
    }
    required = {Requirement(line).name for line in importlib.metadata.requires("salt") or ()}
    installed = []
    for name in sorted({"salt", *extensions, *required}):
        try:
            installed.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # required on other platforms only
    return installed

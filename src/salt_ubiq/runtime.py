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
import io
import json
import logging
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import docker.types
from packaging.requirements import Requirement

from salt_ubiq import bootstrap
from salt_ubiq.catalogue import Bootstrap, Runtime
from salt_ubiq.container import MountedSalt, Surroundings
from salt_ubiq.engine import LABEL, Engine, ImageInfo
from salt_ubiq.errors import BuildError, NameTaken
from salt_ubiq.files import write
from salt_ubiq.thin import Thin
from salt_ubiq.workspace import Workspace

log = logging.getLogger(__name__)

# All mounts of a build are below /dev, a tmpfs in every container: a mount point
# elsewhere would stay in the image.
MOUNT = "/dev/salt-ubiq/runtime"
SCRATCH = "/dev/salt-ubiq/scratch"
CACHE = "/dev/salt-ubiq/cache"
NAME = "salt-ubiq-runtime-"
CACHE_NAME = "cache-of-"
_COMPLETE = f"{MOUNT}/complete"
_FILES = files("salt_ubiq.runtime_volume")
_MOUNTED = ("salt_call.py", "watched.py", "apt.conf")


def surroundings(
    volume: str | None, cache: str | None, environment: Mapping[str, str]
) -> Surroundings:
    """
    What a build container has with a runtime, and without.

    volume
        the runtime's, ``None`` for none

    cache
        the volume for what package managers fetch, ``None`` for none

    environment
        the catalogue's
    """
    if volume is None:
        return Surroundings(environment=environment)
    mounts: list[dict[str, Any]] = [
        {"Type": "volume", "Source": volume, "Target": MOUNT, "ReadOnly": True},
        {"Type": "volume", "Target": SCRATCH},  # anonymous: removed with the container
    ]
    caching = {}
    if cache:
        mounts.append({"Type": "volume", "Source": cache, "Target": CACHE})
        caching = {
            "APT_CONFIG": f"{MOUNT}/apt.conf",
            "PIP_CACHE_DIR": f"{CACHE}/pip",
            "npm_config_cache": f"{CACHE}/npm",
        }
    return Surroundings(
        mounts=tuple(mounts),
        environment={**caching, **environment},
        runtime=MountedSalt(
            volume=volume,
            command=(f"{MOUNT}/bin/python3", f"{MOUNT}/salt_call.py"),
            scratch=SCRATCH,
        ),
    )


class RuntimeVolume:
    """The volume of one runtime: named by the digest of what is in it, made once."""

    def __init__(self, source: Runtime, engine: Engine, workspace: Workspace, thin: Thin) -> None:
        self._source = source
        self._engine = engine
        self._workspace = workspace
        self._thin = thin
        self.name = f"{NAME}{self._digest()}"

    def ensure(self, any_image: ImageInfo) -> str:
        """
        Make the volume unless it is there, and return its name.

        any_image
            an image on the engine, for reaching the volume through a container

        Raises :class:`~salt_ubiq.errors.UbiqError` where that fails; then there is none.
        """
        if not self._known():
            with self._workspace.lock("runtime", "waiting for the runtime that another makes"):
                if not self._known():
                    self._make(any_image)
                write(self._record, self._created() or "")
        return self.name

    @property
    def _record(self) -> Path:
        """When the volume was made that was found complete, as the engine has it."""
        return self._workspace.path / f"{self.name}.created"

    def _created(self) -> str | None:
        volume = self._engine.volume(self.name)
        return str(volume["CreatedAt"]) if volume else None

    def _known(self) -> bool:
        return self._record.exists() and self._created() == self._record.read_text()

    def _make(self, any_image: ImageInfo) -> None:
        """
        Fill the volume, unless somebody has done it.

        The container through which it is filled bears the volume's name: so
        only one process fills it, from whatever host.
        """
        self._engine.create_volume(self.name, {f"{LABEL}.kind": "runtime"})
        try:
            with self._filling(any_image) as container:
                if self._engine.has_file(container, _COMPLETE):
                    return
                log.info("making the Salt runtime %s", self.name)
                self._execute(container, "sh", "-c", f"rm -rf {MOUNT}/*")
                if self._source.host:
                    self._fill_from_host(container)
                else:
                    self._fill_from_image()
                contents = {name: _FILES.joinpath(name).read_bytes() for name in _MOUNTED}
                self._engine.put(container, MOUNT, contents)
                self._engine.put(container, MOUNT, {"complete": b""})
        except BaseException:
            self._engine.remove_volume(self.name)
            raise

    @contextmanager
    def _filling(self, any_image: ImageInfo) -> Iterator[str]:
        """A started container with the volume, which nobody else has at the same time."""
        # Of this workspace nobody else is at it, as this process has the lock.
        name, owner = f"{self.name}-filling", self._workspace.slot_prefix
        while True:
            try:
                with self._engine.container(any_image.id, name, [self._mount], owner) as container:
                    self._engine.start(container)
                    yield container
                    return
            except NameTaken:
                if self._engine.in_use(name, owner):
                    time.sleep(1)
                else:
                    self._engine.remove_container(name)

    @property
    def _mount(self) -> docker.types.Mount:
        return docker.types.Mount(MOUNT, self.name)

    def _fill_from_image(self) -> None:
        """Run the collecting script in a container of the image that has the Python."""
        name = f"{self.name}-collecting"
        self._engine.remove_container(name)
        with (
            self._image() as image,
            self._engine.container(image.id, name, [self._mount]) as source,
        ):
            self._engine.start(source)
            script = _FILES.joinpath("collect.py").read_bytes()
            thin = self._thin.tarball().read_bytes()
            self._engine.put(source, "/tmp", {"collect.py": script, "thin.tgz": thin})
            self._execute(source, "python3", "/tmp/collect.py", MOUNT, MOUNT, "/tmp/thin.tgz")

    def _execute(self, container: str, *command: str) -> None:
        status, printed = self._engine.execute(container, command)
        if status:
            tail = "".join(f"\n  {line}" for line in printed.splitlines()[-3:])
            raise BuildError(f"can't make the Salt runtime of {self._origin()}: {tail}")

    def _fill_from_host(self, container: str) -> None:
        """Collect the Python that this process runs in, and send it to the volume."""
        with tempfile.TemporaryDirectory(prefix="ubiq-runtime-") as directory:
            with as_file(_FILES.joinpath("collect.py")) as script:
                done = subprocess.run(
                    [sys.executable, str(script), directory, MOUNT, str(self._thin.tarball())],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                tail = done.stderr.strip().splitlines()[-1:]
                raise BuildError(f"can't make the Salt runtime of this host's Python: {tail}")
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as tar:
                tar.add(directory, arcname=".", filter=_owned_by_root)
        self._engine.put_tar(container, MOUNT, buffer.getvalue())

    @contextmanager
    def _image(self) -> Iterator[ImageInfo]:
        """The image with the runtime's Python; a bootstrapped one only for as long as needed."""
        if self._source.image:
            yield self._engine.image(self._source.image) or self._engine.pull(self._source.image)
            return
        recipe = Bootstrap(
            image=f"salt-ubiq.local/runtime:{self._source.suite}",
            suite=self._source.suite,
            mirror=self._source.mirror,
            keyring=self._source.keyring,
            variant="essential",
            include=("python3",),
        )
        if not self._engine.image(recipe.image):  # a dead process may have left it
            bootstrap.make(recipe, self._engine, "set ubiq:runtime to {image: …} or {host: true}")
        try:
            yield self._engine.existing(recipe.image)
        finally:
            self._engine.remove_image(recipe.image)

    def _origin(self) -> str:
        return self._source.image or f"Debian's {self._source.suite}"

    def _digest(self) -> str:
        """Of all that the content depends on; not of time or place."""
        source = self._source
        image = self._engine.image(source.image) if source.image else None
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


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member

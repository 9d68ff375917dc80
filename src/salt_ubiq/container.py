"""
The build container, as ``docker.sls_build`` meets it.

``docker.sls_build`` reaches the engine through the client in its
``__context__`` and its container through ``container_resource``.
:class:`BuildClient` stands in for both, so that Salt's function does its work
in a container that is named, bounded in time and cleaned, needs no ``docker``
command on this host, and commits the image config that is wanted.
"""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import docker.errors
import docker.utils.socket
import requests.exceptions

from salt_ubiq.engine import PATH

# Where Salt's docker module puts what it sends into a container.
_TMP = "/tmp"
# Begins the lines on stderr by which salt_call.py announces states.
_MARK = b"\x1e"
_CONFLICT = 409


@dataclass(frozen=True)
class MountedSalt:
    """
    Salt in a volume of the build container.

    volume
        its name

    command
        what to call with a scratch directory and the arguments of ``salt-call``

    scratch
        a directory outside the image, for what Salt sends into the container
    """

    volume: str
    command: tuple[str, ...]
    scratch: str


@dataclass(frozen=True)
class Surroundings:
    """
    What a build container has that its parent image has not.

    mounts
        as the engine's API spells them

    environment
        for the commands in the container; the image gets none of it

    runtime
        how Salt is there already, ``None`` where ``docker.call`` is to copy it
        into the container and to run it with the image's own Python
    """

    mounts: tuple[dict[str, Any], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    runtime: MountedSalt | None = None


@dataclass(frozen=True)
class Output:
    """What a command in the container printed, and its exit status."""

    stdout: str
    stderr: str
    retcode: int


class BuildClient(docker.APIClient):
    """
    A Docker client for one build: it makes, uses, commits and removes one container.

    arguments
        of the client itself, as :class:`~salt_ubiq.engine.Engine` has them

    name
        of the container

    image_config
        the config of the committed image, in the engine's spelling

    entrypoint
        run the container's command as its entrypoint: where the parent has an
        entrypoint of its own, or where the image shall have no command
        (committing can replace a command by nothing only there)

    surroundings
        what the container has that its parent image has not

    timeout
        seconds until the container is killed

    grains
        the container's, where they are known: ``grains.items`` need not run then

    observe
        called after each command of Salt's docker module, with it and its output

    announce
        called with what the runtime's Salt is about to do

    sent
        called with the path, on this host, of the package of states before it is sent

    test
        apply the states in test mode: say what they would change

    keep_as
        how to commit the container where it fails, ``None`` to drop it
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        *,
        name: str,
        image_config: Mapping[str, Any],
        entrypoint: bool,
        surroundings: Surroundings,
        timeout: float,
        grains: Mapping[str, Any] | None = None,
        observe: Callable[[Sequence[str], Output], None] = lambda *_: None,
        announce: Callable[[str], None] = lambda _: None,
        sent: Callable[[Path], None] = lambda _: None,
        test: bool = False,
        keep_as: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(**arguments, timeout=int(timeout) + 1)
        self.name = name
        self.timed_out = False
        self.lost_engine = False
        self._image_config = dict(image_config)
        self._entrypoint = entrypoint
        self._mounts = surroundings.mounts
        self._variables = [f"{key}={value}" for key, value in surroundings.environment.items()]
        self._runtime = surroundings.runtime
        self._grains = grains
        self._observe = observe
        self._announce = announce
        self._sent = sent
        self._test = test
        self._keep_as = keep_as
        self._timer = threading.Timer(timeout, self._kill)
        self._timer.daemon = True
        self.before_commit: Callable[[], None] = lambda: None

    def label(self, name: str, value: str) -> None:
        """Add a label to the image that will be committed."""
        self._image_config["Labels"] = {**self._image_config.get("Labels", {}), name: value}

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request; of a failure Salt keeps only the text, so take note of its kind."""
        try:
            return super().send(*args, **kwargs)
        except requests.exceptions.ConnectionError:
            self.lost_engine = True
            raise

    # The client that docker.sls_build finds in its context.

    def create_container(  # type: ignore[override] # what it does not change it passes on
        self, image: str, command: Any = None, **kwargs: Any
    ) -> Any:
        """Create the build container, under its name."""
        kwargs["name"] = self.name
        if self._entrypoint:
            kwargs["entrypoint"] = shlex.split(command) if isinstance(command, str) else command
            command = None
        host_config = kwargs["host_config"]
        # Committing would take over what the container's own config has of these.
        volumes = kwargs.pop("volumes", None) or ()
        kwargs.pop("ports", None)
        mounts = [*(host_config.get("Mounts") or ()), *self._mounts]
        host_config["Mounts"] = [*mounts, *_anonymous(volumes, host_config.get("Binds") or ())]
        if "Healthcheck" in self._image_config:
            kwargs["healthcheck"] = {"test": ["NONE"]}  # it checks the image's command
        self._timer.start()
        try:
            return super().create_container(image, command, **kwargs)
        except docker.errors.APIError as exc:
            if exc.status_code != _CONFLICT:
                raise
        # The engine has only now done what a process that was killed wanted of it.
        super().remove_container(self.name, v=True, force=True)
        return super().create_container(image, command, **kwargs)

    def commit(  # type: ignore[override] # what it does not change it passes on
        self, container: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Commit the container with the image's own config instead of the container's."""
        self.before_commit()
        self._keep_as = None
        kwargs["conf"] = self._whole(self._image_config)
        return super().commit(container, *args, **kwargs)

    def _whole(self, config: Mapping[str, Any]) -> dict[str, Any]:
        # An empty entrypoint says "none"; without one the container's own is taken over.
        return {**({"Entrypoint": []} if self._entrypoint else {}), **config}

    def remove_container(self, container: Any, *_: Any, **kwargs: Any) -> None:
        """Remove the container with the anonymous volumes that its parent's VOLUME made."""
        self._timer.cancel()
        if self._keep_as:
            conf = self._whole(self._keep_as["conf"])
            super().commit(container, **{**self._keep_as, "conf": conf})
        super().remove_container(container, **{**kwargs, "v": True})

    # The container_resource functions that docker.sls_build finds in __salt__.

    def container_resource(self) -> dict[str, Callable[..., Any]]:
        """The functions to put in the place of Salt's, by their names."""
        return {"container_resource.run": self._run, "container_resource.copy_to": self._copy_to}

    def _run(self, name: str, cmd: str, output: str | None = None, **_: Any) -> Any:
        words = shlex.split(cmd)
        if self._test and called_function(words) == "state.pkg":
            words.append("test=True")
        if self._grains is not None and called_function(words) == "grains.items":
            done = Output(json.dumps({"local": {"return": self._grains}}), "", 0)
        elif self._runtime is None:
            done = self.execute(words, container=name)
        elif called_function(words):
            done = self.execute(self._by_runtime(self._runtime, words), container=name)
        else:
            # docker.call looks for a Python, makes and removes directories, unpacks
            # Salt: with the runtime there is nothing to do.
            done = Output("", "", 0)
        self._observe(words, done)
        ret = {"pid": 0, "retcode": done.retcode, "stdout": done.stdout, "stderr": done.stderr}
        return ret["stdout"] if output is None else ret

    def _copy_to(self, name: str, source: str, dest: str, **_: Any) -> bool:
        path = PurePosixPath(dest)
        if path.name != "thin.tgz":
            self._sent(Path(source))
        elif self._runtime:
            return True
        if self._runtime:
            self._write(name, self._in_scratch(self._runtime, dest), Path(source))
            return True
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(Path(source), arcname=f"{path.parent.name}/{path.name}")
        return bool(self.put_archive(name, str(path.parent.parent), buffer.getvalue()))

    def _write(self, container: str, path: str, source: Path) -> None:
        """
        Write a file in a container, through a process in there.

        For ``put_archive`` the engine mounts the container's volumes itself, and not the
        tmpfs that they are below: their mount points would stay in the image.
        """
        # For root alone: pillar is in there.
        receive = 'mkdir -p "${1%/*}" && umask 077 && head -c "$2" >"$1"'
        size = str(source.stat().st_size)
        created = self._exec(container, ["sh", "-c", receive, "sh", path, size], stdin=True)
        stream: Any = self.exec_start(created, socket=True)
        with suppress(BrokenPipeError, ConnectionResetError):  # it ended, and says why
            # Only over TLS it is the socket itself.
            getattr(stream, "_sock", stream).sendall(source.read_bytes())
        frames = docker.utils.socket.frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]
        printed = b"".join(data for _, data in frames).decode(errors="replace")
        if self.exec_inspect(created)["ExitCode"] != 0:
            raise docker.errors.DockerException(f"can't write {path}: {printed}")

    def execute(self, command: Sequence[str], container: str | None = None) -> Output:
        """Run a command in the container, as root, with nothing but the build's environment."""
        created = self._exec(container or self.name, command)
        stdout, stderr = [], _Stderr(self._announce)
        for out, err in self.exec_start(created, stream=True, demux=True):
            stdout.append(out or b"")
            stderr.add(err or b"")
        printed = b"".join(stdout).decode(errors="replace").rstrip()
        return Output(printed, stderr.text(), int(self.exec_inspect(created)["ExitCode"]))

    def _exec(self, container: str, command: Sequence[str], stdin: bool = False) -> str:
        full = ["env", "-i", f"PATH={PATH}", *self._variables, *command]
        return str(self.exec_create(container, full, user="0", stdin=stdin)["Id"])

    def _by_runtime(self, runtime: MountedSalt, words: Sequence[str]) -> list[str]:
        """``python3 /tmp/salt.docker.x/salt-call …``, by the runtime and in its scratch."""
        moved = [self._in_scratch(runtime, word) for word in words]
        _python, salt_call, *arguments = moved
        return [*runtime.command, str(PurePosixPath(salt_call).parent), *arguments]

    def _in_scratch(self, runtime: MountedSalt, text: str) -> str:
        return text.replace(f"{_TMP}/", f"{runtime.scratch}/")

    def _kill(self) -> None:
        self.timed_out = True
        with suppress(docker.errors.APIError, OSError):
            self.kill(self.name)


def _anonymous(volumes: Iterable[str], binds: Iterable[str]) -> list[dict[str, Any]]:
    """Mounts for those of a container's volumes that nothing is bound to."""
    bound = {bind.split(":")[1] for bind in binds}
    return [{"Type": "volume", "Target": path} for path in volumes if path not in bound]


class _Stderr:
    """What a command prints there, without the lines in which the runtime announces states."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._kept: list[bytes] = []
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(_MARK):
                self._announce(line.removeprefix(_MARK).decode(errors="replace"))
            else:
                self._kept.append(line)

    def text(self) -> str:
        return b"\n".join([*self._kept, self._rest]).decode(errors="replace").rstrip()


def called_function(command: Sequence[str]) -> str | None:
    """The function of a ``salt-call … -- function args``; ``None`` for another command."""
    words = list(command)
    if "--" not in words or not any(word.endswith("/salt-call") for word in words):
        return None
    return words[words.index("--") + 1]

"""
The build container, as ``docker.sls_build`` meets it.

``docker.sls_build`` reaches the engine through the client in its
``__context__`` and its container through ``container_resource``.
:class:`BuildClient` stands in for both, so that Salt's function does its work
in a container that is named, bounded in time and cleaned, needs no ``docker``
command on this host, and commits the image config that is wanted.
"""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import docker.errors
import docker.utils.socket
import requests.exceptions

from salt_ubiq.engine.containers import PATH
from salt_ubiq.errors import BuildError

# Where Salt's docker module puts what it sends into a container.
_TMP = "/tmp"
# Begins the lines on stderr by which watched.py announces states.
_MARK = b"\x1e"
_CONFLICT = 409
# Tells Salt in the container that there is somebody to ask, see inside/host_files.py.
_ASKS = "SALT_UBIQ_ASKS"
_INSIDE = files("salt_ubiq.inside")
_TEXTS = {
    name: _INSIDE.joinpath(f"{name}.py").read_text() for name in ("host_files", "stop", "watched")
}
# Where there is no runtime to have them as files.
_WATCHED = f"""
import sys, types
for name, text in {list(_TEXTS.items())}:
    sys.modules[name] = module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules["watched"].run_script()
"""
# Run the image's own Python, wherever docker.call would look for it.
_OWN_PYTHON = (
    "for each in python3 /usr/libexec/platform-python; do "
    'command -v "$each" >/dev/null && exec "$each" "$@"; '
    "done; echo 'the image has no Python' >&2; exit 127"
)
# Isolated, without the image's Python packages, and writing no bytecode into the image.
_ALONE = ("-ISB", "-c")
# What the container runs in the place of `sleep infinity`: a shell waits for what daemons leave. An
# init of the engine's would do, too, and leave the point where it is mounted in the image.
_COMMAND = ("sh", "-c", "sleep infinity & wait")
# What docker.create may decide of the container's own config. Of the rest, what a commit
# would take over and the image has not, no container of a build has anything.
_CREATED_WITH = frozenset(
    "hostname domainname mac_address host_config networking_config network_disabled runtime "
    "platform labels stop_timeout".split()
)
# Engines give these variables to whatever runs in a container, where a Dockerfile's RUN has none.
_ENGINES_VARIABLES = frozenset({"HOSTNAME", "TERM", "container"})
# Seconds: between two looks at whether a command has ended; of silence then, and at most,
# until nothing that it had printed is on its way; until the engine knows how it has ended.
_INTERVAL, _ON_ITS_WAY, _LONGEST_WAY, _TIME_TO_END = 1, 1, 10, 5
_LAST_LINES = 5
# Of a frame: which output it is of, and how long it is.
_HEADER = struct.Struct(">BxxxL")
_LONGEST_READ = 1 << 16
# What a state that has nothing to do returns.
_NOTHING = {
    "test_|-nothing_|-nothing_|-nop": {
        "result": True,
        "changes": {},
        "comment": "",
        "__id__": "nothing",
        "__sls__": "",
        "__run_num__": 0,
    }
}


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

    pip
        the Python packages that it has for states, as the catalogue names them
    """

    volume: str
    command: tuple[str, ...]
    scratch: str
    pip: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class BuildContainer:
    """
    What a build's container is to be.

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

    test
        apply the states in test mode: say what they would change

    keep_as
        how to commit the container where it fails, ``None`` to drop it
    """

    name: str
    image_config: Mapping[str, Any]
    entrypoint: bool
    surroundings: Surroundings
    timeout: float
    grains: Mapping[str, Any] | None = None
    test: bool = False
    keep_as: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Listener:
    """
    Who hears what goes on in a build's container.

    observe
        called after each command of Salt's docker module, with it and its output

    announce
        called with what Salt says of its states while they run, see inside/watched.py

    sent
        called with the path, on this host, of the package of states before it is sent; may
        change it

    answer
        called with what Salt asks this host, see inside/host_files.py; ``None`` where nobody is
        to be asked
    """

    observe: Callable[[Sequence[str], Output], None] = lambda *_: None
    announce: Callable[[Mapping[str, Any]], None] = lambda _: None
    sent: Callable[[Path], None] = lambda _: None
    answer: Callable[[str], bytes] | None = None


NOBODY = Listener()


class BuildClient(docker.APIClient):
    """
    A Docker client for one build: it makes, uses, commits and removes one container.

    arguments
        of the client itself, as :class:`~salt_ubiq.engine.client.Engine` has them
    """

    def __init__(
        self, arguments: Mapping[str, Any], wanted: BuildContainer, listener: Listener = NOBODY
    ) -> None:
        super().__init__(**arguments, timeout=int(wanted.timeout) + 1)
        self.name = wanted.name
        self.timed_out = False
        self.lost_engine = False
        self.failure: BuildError | None = None
        """A command that failed, and whose result Salt does not look at."""
        self._wanted = wanted
        self._listener = listener
        self._image_config = dict(wanted.image_config)
        self._entrypoint = wanted.entrypoint
        self._runtime = wanted.surroundings.runtime
        self._keep_as = wanted.keep_as
        # As docker build has it for RUN, the proxies of the client's config are there, too.
        proxies = self._proxy_configs  # type: ignore[attr-defined] # its types leave it out
        self._variables = {**proxies.get_environment(), **wanted.surroundings.environment}
        self._timer = threading.Timer(wanted.timeout, self._kill)
        self._timer.daemon = True
        self._digests: dict[str, str] = {}
        """Of packages as they were sent, by what Salt takes them for."""
        self.before_commit: Callable[[], None] = lambda: None
        self.nothing_to_apply = False
        """The states come to none, which Salt takes for a failure."""

    @property
    def image_config(self) -> Mapping[str, Any]:
        """The config of the committed image, its labels included."""
        return self._image_config

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
        # Committing would take over what the container's own config has of volumes.
        volumes = kwargs.get("volumes") or ()
        kwargs = {key: value for key, value in kwargs.items() if key in _CREATED_WITH}
        kwargs.update(name=self.name, use_config_proxy=False)
        if command:
            command = list(_COMMAND)
        if self._entrypoint:
            kwargs["entrypoint"], command = command, None
        host_config = kwargs["host_config"]
        mounts = [*(host_config.get("Mounts") or ()), *self._wanted.surroundings.mounts]
        host_config["Mounts"] = [*mounts, *_anonymous(volumes, host_config.get("Binds") or ())]
        if "User" in self._image_config:
            kwargs["user"] = "0"  # the image's own may not be there before its states have run
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
        try:
            self.before_commit()
        except BuildError as exc:
            self.failure = self.failure or exc
        if self.failure:
            raise self.failure
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
        # By force: an engine that has no time may leave it paused by the commit.
        super().remove_container(container, **{**kwargs, "v": True, "force": True})

    # The container_resource functions that docker.sls_build finds in __salt__.

    def container_resource(self) -> dict[str, Callable[..., Any]]:
        """The functions to put in the place of Salt's, by their names."""
        return {"container_resource.run": self._run, "container_resource.copy_to": self._copy_to}

    def _run(self, name: str, cmd: str, output: str | None = None, **_: Any) -> Any:
        words = [self._digests.get(word, word) for word in shlex.split(cmd)]
        if self._wanted.test and called_function(words) == "state.pkg":
            words.append("test=True")
        if self._wanted.grains is not None and called_function(words) == "grains.items":
            done = _returning(self._wanted.grains)
        elif self.nothing_to_apply and called_function(words) == "state.pkg":
            done = _returning(_NOTHING)
        elif self._runtime is None:
            done = self._run_plainly(name, words)
        elif called_function(words):
            done = self._salt_call(name, self._by_runtime(self._runtime, words))
        else:
            # docker.call looks for a Python, makes and removes directories, unpacks
            # Salt: with the runtime there is nothing to do.
            done = Output("", "", 0)
        if called_function(words) and done.retcode and not done.stderr:
            done = replace(done, stderr=f"Salt ended with exit status {done.retcode}")
        self._listener.observe(words, _returning({}) if done == _returning(_NOTHING) else done)
        ret = {"pid": 0, "retcode": done.retcode, "stdout": done.stdout, "stderr": done.stderr}
        return ret["stdout"] if output is None else ret

    def _run_plainly(self, name: str, words: list[str]) -> Output:
        """Run a command as Salt wants it, with the image's own Python."""
        if called_function(words):
            python, *salt_call = words
            return self._salt_call(name, [python, "-c", _WATCHED, *salt_call])
        done = self._execute(name, words).text()
        if done.retcode and words[1:] != ["--version"]:  # that is how it looks for a Python
            self.failure = self.failure or _failed(words, done)
        return done

    def _copy_to(self, name: str, source: str, dest: str, **_: Any) -> bool:
        path = PurePosixPath(dest)
        if path.name != "thin.tgz":
            said = hashlib.sha256(Path(source).read_bytes()).hexdigest()
            self._listener.sent(Path(source))
            self._digests[said] = hashlib.sha256(Path(source).read_bytes()).hexdigest()
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
        content = source.read_bytes()
        command = ["sh", "-c", receive, "sh", path, str(len(content))]
        done = self._execute(container, command, content)
        if done.retcode:
            raise docker.errors.DockerException(f"can't write {path}: {done.text().stderr}")

    def execute(self, command: Sequence[str], accept: Collection[int] = (0,)) -> Output:
        """
        Run a command in the container, as root, with nothing but the build's environment.

        accept
            the exit statuses with which it may end

        Raises :class:`~salt_ubiq.errors.BuildError` where it ends with another.
        """
        done = self._execute(self.name, command).text()
        if done.retcode not in accept:
            raise _failed(command, done)
        return done

    def python(self, script: str, *arguments: str, given: bytes = b"") -> bytes:
        """
        Run the text of a Python script in the container, with the runtime's Python or, where
        there is none, the image's own, and return what it prints.

        given
            what it reads

        Raises :class:`~salt_ubiq.errors.BuildError` where it fails.
        """
        own = ("sh", "-c", _OWN_PYTHON, "sh")
        python = self._runtime.command[:1] if self._runtime else own
        done = self._execute(self.name, [*python, *_ALONE, script, *arguments], given)
        if done.retcode:
            raise _failed(["python3", *arguments], done.text())
        return done.stdout

    def _salt_call(self, container: str, command: Sequence[str]) -> Output:
        """Run Salt, which may ask this host while it runs."""
        asks = self._listener.answer is not None
        return self._execute(container, command, asks=asks).text()

    def _execute(
        self, container: str, command: Sequence[str], given: bytes = b"", asks: bool = False
    ) -> _Done:
        created = self._exec(container, command, stdin=bool(given) or asks, asks=asks)
        stream: Any = self.exec_start(created, socket=True)
        # Only over TLS it is the socket itself.
        connection = getattr(stream, "_sock", stream)

        def said(what: Mapping[str, Any]) -> None:
            if asks and self._listener.answer and isinstance(what.get("asked"), str):
                answer = self._listener.answer(what["asked"])
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(struct.pack(">I", len(answer)) + answer)
            else:
                self._listener.announce(what)

        stdout, stderr = list[bytes](), _Stderr(said)
        with self._watched(created, connection) as heard:
            if given:
                with suppress(BrokenPipeError, ConnectionResetError):  # it ended, and says why
                    connection.sendall(given)
            with suppress(ConnectionResetError):
                for kind, data in _frames(connection):
                    heard()
                    (stdout.append if kind == docker.utils.socket.STDOUT else stderr.add)(data)
        return _Done(b"".join(stdout), stderr.text(), self._exit_status(created))

    @contextmanager
    def _watched(self, execution: str, connection: Any) -> Iterator[Callable[[], None]]:
        """
        Close the connection to a command once it has ended; yields what to call when it prints.

        The engine closes it only when nobody holds the command's output open any more, and
        a daemon that it started may do so for ever.
        """
        over, heard = threading.Event(), [0.0]

        def note() -> None:
            heard[0] = time.monotonic()

        def watch() -> None:
            while not over.wait(_INTERVAL):
                with suppress(docker.errors.APIError, OSError):
                    if not self.exec_inspect(execution)["Running"]:
                        break
            note()
            latest = heard[0] + _LONGEST_WAY  # the daemon may print, too
            while not over.wait(_ON_ITS_WAY):
                if time.monotonic() > min(heard[0] + _ON_ITS_WAY, latest):
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                    return

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield note
        finally:
            over.set()

    def _exit_status(self, execution: str) -> int:
        """The exit status of a command that has ended; -1 where the engine does not know it."""
        deadline = time.monotonic() + _TIME_TO_END
        while time.monotonic() < deadline:
            status = self.exec_inspect(execution)["ExitCode"]
            if status is not None:
                return int(status)
            time.sleep(0.02)
        return -1

    def _exec(
        self, container: str, command: Sequence[str], stdin: bool = False, asks: bool = False
    ) -> str:
        """
        Make the execution of a command that has the image's environment, as ``RUN`` has it in a
        Dockerfile, and the build's.

        It isn't among the arguments: lists of processes and the engine's events show those.
        """
        unset = [word for name in self._unwanted for word in ("-u", name)]
        path = [] if self._has_path else [f"PATH={PATH}"]
        full = ["env", *unset, *path, *command]
        variables = {**self._variables, **({_ASKS: "1"} if asks else {})}
        created = self.exec_create(container, full, user="0", stdin=stdin, environment=variables)
        return str(created["Id"])

    @cached_property
    def _image_variables(self) -> frozenset[str]:
        """The names of the variables that the image has."""
        config = self.inspect_container(self.name)["Config"]
        return frozenset(item.partition("=")[0] for item in config["Env"] or ())

    @property
    def _has_path(self) -> bool:
        return "PATH" in self._image_variables or "PATH" in self._variables

    @property
    def _unwanted(self) -> list[str]:
        """The variables that commands in the container would have from the engine alone."""
        return sorted(_ENGINES_VARIABLES - self._image_variables - self._variables.keys())

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


def _frames(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """
    The engine's frames, what a command prints and on which of its outputs, until there is no more.

    Not by docker-py's own function, which waits for the socket even where TLS has the next bytes
    already: whoever waits for an answer to these would wait for ever.
    """
    connection.settimeout(None)
    while len(header := _received(connection, _HEADER.size)) == _HEADER.size:
        kind, length = _HEADER.unpack(header)
        while length and (data := connection.recv(min(length, _LONGEST_READ))):
            length -= len(data)
            yield kind, data


def _received(connection: socket.socket, length: int) -> bytes:
    """So many bytes, or fewer where the connection ends before."""
    data = b""
    while len(data) < length and (more := connection.recv(length - len(data))):
        data += more
    return data


def _anonymous(volumes: Iterable[str], binds: Iterable[str]) -> list[dict[str, Any]]:
    """Mounts for those of a container's volumes that nothing is bound to."""
    bound = {bind.split(":")[1] for bind in binds}
    return [{"Type": "volume", "Target": path} for path in volumes if path not in bound]


def _returning(value: Any) -> Output:
    """The output of a function of Salt that returns that."""
    return Output(json.dumps({"local": {"return": value}}), "", 0)


def _failed(command: Sequence[str], done: Output) -> BuildError:
    """What is to be said of a command that has failed."""
    how = f"ended with exit status {done.retcode}" if done.retcode >= 0 else "was ended"
    printed = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    lines = "".join(f"\n    {line}" for line in printed[-_LAST_LINES:])
    text = f"in the build container, {shlex.join(command)} {how}"
    return BuildError(f"{text}:{lines}" if lines else text)


@dataclass(frozen=True)
class _Done:
    """A command that has ended: what it printed, not rid of anything, and its exit status."""

    stdout: bytes
    stderr: str
    retcode: int

    def text(self) -> Output:
        printed = self.stdout.decode(errors="replace").rstrip()
        return Output(printed, self.stderr, self.retcode)


class _Stderr:
    """What a command prints there, without the lines in which states are announced."""

    def __init__(self, announce: Callable[[Mapping[str, Any]], None]) -> None:
        self._announce = announce
        self._kept: list[bytes] = []
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(_MARK):
                with suppress(ValueError):  # cut off, or of somebody else
                    self._announce(json.loads(line.removeprefix(_MARK)))
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

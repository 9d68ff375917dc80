"""
What the benchmarks of builds share: running commands, Salt in a directory of
its own, and removing what was made on the engine.
"""

from __future__ import annotations

import argparse
import getpass
import importlib.metadata
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors

REPOSITORY = Path(__file__).resolve().parent.parent
DEBIAN = "debian:12-slim"
# What is made on the engine bears this name or this label, both with the benchmark's name.
_PREFIX = "salt-ubiq-benchmark"


class Failed(Exception):
    """The benchmark has no numbers; the text says why."""


def images(benchmark: str) -> str:
    """Return what the repositories of a benchmark's images begin with."""
    return f"{_PREFIX}/{benchmark}"


def label(benchmark: str) -> str:
    """Return the label of what a benchmark makes, ``key=value``."""
    return f"{_PREFIX}={benchmark}"


def labels(benchmark: str) -> dict[str, str]:
    """Return the same as a dictionary."""
    return {_PREFIX: benchmark}


def debian_python(reference: str) -> dict[str, Any]:
    """Return the declaration of the shipped base under that reference, bootstrapped if need be."""
    repository, _, tag = reference.partition(":")
    return {
        "repository": repository,
        "tags": [tag],
        "dockerfile": "salt://_docker/debian-python",
        "buildargs": {"FROM": DEBIAN},
        "bootstrap": {"image": DEBIAN, "suite": "bookworm", "variant": "minbase"},
    }


def run(command: Sequence[str], directory: Path) -> float:
    """Run a command to its end and return the seconds it took."""
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is ours, and passed on by stop()
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            with uninterrupted():
                stop(process)
            raise
    seconds = time.perf_counter() - started
    if process.returncode:
        tail = "\n".join(f"  {line}" for line in output.strip().splitlines()[-20:])
        raise Failed(f"exit {process.returncode} of: {' '.join(command)}\n{tail}")
    return seconds


def stop(process: subprocess.Popen[str]) -> None:
    """Interrupt a command, and kill it where that takes long; remove() does the rest."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


class Salt:
    """A masterless minion in a directory of its own, with this repository's states and pillar."""

    def __init__(self, directory: Path) -> None:
        self.files = directory / "files"
        self._etc = directory / "etc"
        self._cachedir = directory / "cache"
        self._directory = directory
        beside = Path(sys.executable).parent / "salt-call"
        self._salt_call = str(beside) if beside.exists() else shutil.which("salt-call")
        if not self._salt_call:
            raise Failed("no salt-call here: make .venv, and run this with .venv/bin/python")

    def configure(self, pillar: Mapping[str, Any], sls: Sequence[str]) -> None:
        """Write the minion's config and pillar: ``pillar``, and ``sls`` of the repository's."""
        own_pillar = self._directory / "pillar"
        for path in (self._etc, self.files, own_pillar):
            path.mkdir(parents=True)
        _write_json(own_pillar / "top.sls", {"base": {"*": ["benchmark", *sls]}})
        _write_json(own_pillar / "benchmark.sls", pillar)
        states = REPOSITORY / "_docker" / "service" / "salt" / "states"
        config = {
            "id": "benchmark",
            "user": getpass.getuser(),
            "root_dir": str(self._directory),
            "cachedir": str(self._cachedir),
            "file_client": "local",
            "file_roots": {"base": [str(states), str(self.files)]},
            "pillar_roots": {"base": [str(own_pillar), str(REPOSITORY / "pillar")]},
        }
        (self._etc / "minion").write_text(json.dumps(config))  # JSON is YAML, too

    def call(self, function: str, *arguments: str) -> float:
        """Run ``salt-call`` and return the seconds it took."""
        options = ["--config-dir", str(self._etc), "--local", "--log-level", "error"]
        return run([str(self._salt_call), *options, function, *arguments], self._directory)

    def sls_build(self, image: str, base: str, mods: Sequence[str], benchmark: str) -> float:
        """Build with plain ``docker.sls_build`` and return the seconds it took."""
        repository, _, tag = image.rpartition(":")
        return self.call(
            "docker.sls_build",
            repository,
            f"tag={tag}",
            f"base={base}",
            f"mods={','.join(mods)}",
            f"labels={json.dumps([label(benchmark)])}",  # for remove()
        )

    @property
    def workspace(self) -> str | None:
        """The ID in the names of our build containers and caches, once there is one."""
        path = self._cachedir / "ubiq" / "id"
        return path.read_text() if path.exists() else None

    @property
    def runtime(self) -> str | None:
        """The name of the Salt runtime that our builds used, once there was one."""
        records = self._cachedir.glob("ubiq/salt-ubiq-runtime-*.created")
        return next((path.stem for path in records), None)


def _write_json(path: Path, data: Any) -> None:
    path.write_text("#!json\n" + json.dumps(data))


def connect() -> docker.DockerClient:
    """Return a client of the engine; fail where anything that a build needs is missing."""
    if not shutil.which("docker"):
        raise Failed("docker.sls_build runs the docker command, and there is none: install it")
    try:
        return docker.from_env(version="auto")
    except docker.errors.DockerException as exc:
        raise Failed(f"no Docker engine answers: {exc}") from None


def packages(engine: docker.DockerClient, image: str, benchmark: str) -> frozenset[str]:
    """Return the names of the Debian packages in an image."""
    container = engine.containers.create(image, ["true"], labels=labels(benchmark))
    try:
        chunks, _ = container.get_archive("/var/lib/dpkg/status")
        content = io.BytesIO(b"".join(chunks))
    finally:
        container.remove(v=True)
    with tarfile.open(fileobj=content) as tar:
        status = tar.extractfile("status")
        lines = status.read().decode().splitlines() if status else []
    return frozenset(line[9:] for line in lines if line.startswith("Package: "))


def runtimes(engine: docker.DockerClient) -> set[str]:
    """Return the names of the Salt runtimes that are on the engine."""
    volumes = engine.volumes.list(filters={"name": "salt-ubiq-runtime-"})
    return {volume.name for volume in volumes}


def remove(engine: docker.DockerClient, benchmark: str, workspace: str | None) -> None:
    """Remove everything of a benchmark from the engine, but the Salt runtime."""
    labelled: dict[str, Any] = {"label": label(benchmark)}
    containers = engine.containers.list(all=True, filters=labelled)
    if workspace:
        name = f"^/?salt-ubiq-{workspace}-"
        containers += engine.containers.list(all=True, filters={"name": name})
    for container in containers:
        attempt(container.remove, v=True, force=True)
    own = (f"{images(benchmark)}/", f"salt-ubiq.local/build:salt-ubiq-{workspace}-")
    for name in [tag for image in engine.images.list() for tag in image.tags]:
        if name.startswith(own):
            attempt(engine.images.remove, name)
    for image in engine.images.list(all=True, filters={**labelled, "dangling": True}):
        attempt(engine.images.remove, image.id)
    if workspace:
        # The caches of packages, each named after its slot.
        for volume in engine.volumes.list(filters={"name": f"salt-ubiq-{workspace}-"}):
            attempt(volume.remove)


def attempt(remove: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Remove something that may be gone with another; say so where it can't be."""
    try:
        remove(*arguments, **options)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as exc:
        print(f"could not remove: {exc.explanation}", file=sys.stderr)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM have no effect meanwhile."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def machine(engine: docker.DockerClient, load_before: float) -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {
            "engine": str(engine.version()["Version"]),
            "salt": importlib.metadata.version("salt"),
            "salt_ubiq": importlib.metadata.version("salt-ubiq"),
            "python": platform.python_version(),
        },
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }


def heading(facts: Mapping[str, Any]) -> str:
    """Return the same in a line."""
    versions = facts["versions"]
    return (
        f"Salt {versions['salt']}, Python {versions['python']}, "
        f"Docker {versions['engine']}, {facts['cores']} cores, "
        f"load {facts['load_before']} before and {facts['load_after']} after"
    )


def options(
    description: str | None,
    rounds: int,
    more: Callable[[argparse.ArgumentParser], None] = lambda _: None,
) -> argparse.Namespace:
    """Return the validated options, by default so many ``rounds``, and ``more`` of them."""
    summary = (description or "").split("\n\n", maxsplit=1)[0].strip()
    parser = argparse.ArgumentParser(description=summary)
    rounds_help = f"builds of each (default: {rounds})"
    parser.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    more(parser)
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds: at least 1")
    if given.json and not given.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no directory {given.json.parent}")
    return given


def guarded(main: Callable[[], int]) -> int:
    """Return the exit status of ``main``; 2 where it fails, 130 where it is interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    try:
        return main()
    except Failed as exc:
        print(f"\n{exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; what it made is removed", file=sys.stderr)
        return 130

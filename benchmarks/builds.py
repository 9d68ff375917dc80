"""
How long a build takes, and how large its layer is: plain ``docker.sls_build``,
ours, and a Dockerfile that installs the same packages without Salt.

They run in turn, so that whatever else the machine does hits all of them alike.
Whatever is made on the engine is removed in the end, but for the Salt runtime,
which is every build's.
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
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

REPOSITORY = Path(__file__).resolve().parent.parent
# What is made on the engine bears this name or this label.
IMAGES = "salt-ubiq-benchmark/builds"
LABEL = ("salt-ubiq-benchmark", "builds")
DEBIAN = "debian:12-slim"
BASE = f"{IMAGES}/debian-python:12"

# The ways to build. The keys are also the images' tags.
PLAIN, OURS, BARE, DOCKERFILE = "plain", "ours", "ours-without-python", "dockerfile"
WAYS = {
    PLAIN: "docker.sls_build",
    OURS: "ours",
    BARE: "ours, base without Python",
    DOCKERFILE: "Dockerfile",
}
BASES = {PLAIN: BASE, OURS: BASE, BARE: DEBIAN, DOCKERFILE: BASE}


@dataclass(frozen=True)
class Workload:
    """What is built: ``mods`` by Salt, the same with ``instructions`` of a Dockerfile."""

    name: str
    title: str
    mods: tuple[str, ...]
    instructions: str


TRIVIAL = Workload(
    name="trivial",
    title="trivial",
    mods=("benchmark",),
    instructions="COPY salt-ubiq-benchmark /etc/salt-ubiq-benchmark",
)
TRIVIAL_FILE = "one line\n"
TRIVIAL_STATE = "/etc/salt-ubiq-benchmark:\n  file.managed:\n    - contents: one line\n"

ADMIN_NGINX = Workload(
    name="admin-nginx",
    title="admin + nginx",
    mods=("admin", "web-moodle"),
    instructions="""\
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \\
        curl git htop less locales nginx sudo tzdata vim-tiny \\
    && echo 'en_US.UTF-8 UTF-8' >/etc/locale.gen \\
    && locale-gen \\
    && apt-get clean \\
    && rm -rf /var/lib/apt/lists/*""",
)
WORKLOADS = (TRIVIAL, ADMIN_NGINX)


@dataclass(frozen=True)
class Comparison:
    """A ratio to tell, and where it has to be: at least ``least``, at most ``most``."""

    workload: Workload
    title: str
    measure: str
    of: str
    to: str
    least: float = 0.0
    most: float | None = None

    def target(self) -> str:
        """Say where the ratio has to be; nothing where it is for information."""
        if self.most is None:
            return ""
        return f"{self.least:.2f} … {self.most:.2f}" if self.least else f"≤ {self.most:.2f}"

    def reached(self, ratio: float) -> bool:
        """Whether it is there."""
        return self.most is None or self.least <= ratio <= self.most


_WITHOUT_PYTHON = "ours: base with Python / without"
COMPARISONS = (
    Comparison(TRIVIAL, "ours / docker.sls_build", "seconds", OURS, PLAIN, most=0.20),
    Comparison(ADMIN_NGINX, "ours / Dockerfile", "seconds", OURS, DOCKERFILE, most=1.30),
    Comparison(ADMIN_NGINX, "layer: ours / docker.sls_build", "bytes", OURS, PLAIN, most=0.45),
    Comparison(TRIVIAL, _WITHOUT_PYTHON, "seconds", OURS, BARE, least=0.8, most=1.25),
    Comparison(ADMIN_NGINX, _WITHOUT_PYTHON, "seconds", OURS, BARE, least=0.8, most=1.25),
    Comparison(ADMIN_NGINX, "ours / docker.sls_build", "seconds", OURS, PLAIN),
    Comparison(ADMIN_NGINX, "docker.sls_build / Dockerfile", "seconds", PLAIN, DOCKERFILE),
    Comparison(ADMIN_NGINX, "layer: ours / Dockerfile", "bytes", OURS, DOCKERFILE),
)


class Failed(Exception):
    """The benchmark has no numbers; the text says why."""


@dataclass(frozen=True)
class Build:
    """One build: how long it took, its layer's size, and the packages of its image."""

    seconds: float
    bytes: int
    packages: frozenset[str]


@dataclass(frozen=True)
class Measured:
    """All builds of one workload in one way; ``first`` is the one before the rounds."""

    first: Build
    rounds: tuple[Build, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of every round."""
        return tuple(build.seconds for build in self.rounds)

    def median(self, measure: str) -> float:
        """Return the rounds' median of ``seconds`` or ``bytes``."""
        return float(statistics.median(getattr(build, measure) for build in self.rounds))


Results = Mapping[Workload, Mapping[str, Measured]]


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
    """A masterless minion in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._etc = directory / "etc"
        self._cachedir = directory / "cache"
        self._directory = directory
        beside = Path(sys.executable).parent / "salt-call"
        self._salt_call = str(beside) if beside.exists() else shutil.which("salt-call")
        if not self._salt_call:
            raise Failed("no salt-call here: make .venv, and run this with .venv/bin/python")

    def configure(self, pillar: Mapping[str, Any]) -> None:
        """Write the minion's config, files and pillar: the repository's, and ours."""
        files = self._directory / "files"
        own_pillar = self._directory / "pillar"
        for path in (self._etc, files / "benchmark", own_pillar):
            path.mkdir(parents=True)
        (files / "_docker").symlink_to(REPOSITORY / "_docker")
        (files / "benchmark" / "init.sls").write_text(TRIVIAL_STATE)
        _write_json(own_pillar / "top.sls", {"base": {"*": ["benchmark", "admin", "web-moodle"]}})
        _write_json(own_pillar / "benchmark.sls", pillar)
        states = REPOSITORY / "_docker" / "service" / "salt" / "states"
        config = {
            "id": "benchmark",
            "user": getpass.getuser(),
            "root_dir": str(self._directory),
            "cachedir": str(self._cachedir),
            "file_client": "local",
            "file_roots": {"base": [str(states), str(files)]},
            "pillar_roots": {"base": [str(own_pillar), str(REPOSITORY / "pillar")]},
        }
        (self._etc / "minion").write_text(json.dumps(config))  # JSON is YAML, too

    def call(self, function: str, *arguments: str) -> float:
        """Run ``salt-call`` and return the seconds it took."""
        options = ["--config-dir", str(self._etc), "--local", "--log-level", "error"]
        return run([str(self._salt_call), *options, function, *arguments], self._directory)

    @property
    def workspace(self) -> str | None:
        """The ID in the names of our build containers and caches, once there is one."""
        path = self._cachedir / "ubiq" / "id"
        return path.read_text() if path.exists() else None


def _write_json(path: Path, data: Any) -> None:
    path.write_text("#!json\n" + json.dumps(data))


def reference(workload: Workload, way: str) -> str:
    """Return what the image is called."""
    return f"{IMAGES}/{workload.name}:{way}"


def service(workload: Workload, way: str) -> str:
    """Return the name of one of our builds in the catalogue."""
    return f"benchmark-{workload.name}-{way}"


def catalogue() -> dict[str, Any]:
    """Return the pillar that declares our builds and their base."""
    base = {
        "repository": BASE.partition(":")[0],
        "tags": [BASE.partition(":")[2]],
        "dockerfile": "salt://_docker/debian-python",
        "buildargs": {"FROM": DEBIAN},
        "bootstrap": {"image": DEBIAN, "suite": "bookworm", "variant": "minbase"},
    }
    services = {
        service(workload, way): {
            "repository": f"{IMAGES}/{workload.name}",
            "tags": [way],
            "base": {OURS: "benchmark-base", BARE: DEBIAN}[way],
            "mods": list(workload.mods),
            "config": {"labels": dict([LABEL])},
        }
        for workload in WORKLOADS
        for way in (OURS, BARE)
    }
    return {"ubiq": {"bases": {"benchmark-base": base}, "services": services}}


class Benchmark:
    """Builds in all ways, on one engine and with one Salt."""

    def __init__(self, engine: docker.DockerClient, salt: Salt, directory: Path) -> None:
        self._engine = engine
        self._salt = salt
        self._directory = directory

    def prepare(self) -> None:
        """Make what the builds need: Salt's configuration, build contexts, the base."""
        self._salt.configure(catalogue())
        for workload in WORKLOADS:
            context = self._directory / workload.name
            context.mkdir()
            (context / "salt-ubiq-benchmark").write_text(TRIVIAL_FILE)
            # The label goes first: then what an interrupted build leaves bears it.
            lines = [f"FROM {BASE}", f"LABEL {'='.join(LABEL)}", workload.instructions]
            (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        self._salt.call("ubiq_docker.build_base", "benchmark-base")

    def build(self, workload: Workload, way: str) -> Build:
        """Build once; the image is looked at and removed outside the time taken."""
        image_name = reference(workload, way)
        seconds = self._build(workload, way)
        image = self._engine.images.get(image_name)
        base = self._engine.images.get(BASES[way])
        packages = self._packages(image_name)
        self._engine.images.remove(image_name)
        return Build(seconds, image.attrs["Size"] - base.attrs["Size"], packages)

    def _build(self, workload: Workload, way: str) -> float:
        if way == PLAIN:
            repository, _, tag = reference(workload, way).partition(":")
            return self._salt.call(
                "docker.sls_build",
                repository,
                f"tag={tag}",
                f"base={BASE}",
                f"mods={','.join(workload.mods)}",
                f"labels={json.dumps(['='.join(LABEL)])}",  # for remove()
            )
        if way == DOCKERFILE:
            tag = reference(workload, way)
            command = ["docker", "build", "--no-cache", "--force-rm", "--tag", tag, "."]
            return run(command, self._directory / workload.name)
        return self._salt.call("ubiq_docker.build_service", service(workload, way))

    def _packages(self, image: str) -> frozenset[str]:
        container = self._engine.containers.create(image, ["true"], labels=dict([LABEL]))
        try:
            chunks, _ = container.get_archive("/var/lib/dpkg/status")
            content = io.BytesIO(b"".join(chunks))
        finally:
            container.remove(v=True)
        with tarfile.open(fileobj=content) as tar:
            status = tar.extractfile("status")
            lines = status.read().decode().splitlines() if status else []
        return frozenset(line[9:] for line in lines if line.startswith("Package: "))

    @property
    def engine_version(self) -> str:
        """The engine's version."""
        return str(self._engine.version()["Version"])

    def runtimes(self) -> set[str]:
        """Return the names of the Salt runtimes that are on the engine."""
        volumes = self._engine.volumes.list(filters={"name": "salt-ubiq-runtime-"})
        return {volume.name for volume in volumes}

    def remove(self) -> None:
        """Remove everything of this benchmark from the engine, but the Salt runtime."""
        engine, label = self._engine, "=".join(LABEL)
        containers = engine.containers.list(all=True, filters={"label": label})
        workspace = self._salt.workspace
        if workspace:
            name = f"^/?salt-ubiq-{workspace}-"
            containers += engine.containers.list(all=True, filters={"name": name})
        for container in containers:
            attempt(container.remove, v=True, force=True)
        for name in [tag for image in engine.images.list() for tag in image.tags]:
            if name.startswith((f"{IMAGES}/", f"salt-ubiq.local/build:salt-ubiq-{workspace}-")):
                attempt(engine.images.remove, name)
        for image in engine.images.list(all=True, filters={"label": label, "dangling": True}):
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
def benchmark() -> Iterator[Benchmark]:
    """A prepared benchmark; afterwards, nothing is left of it."""
    if not shutil.which("docker"):
        raise Failed("docker.sls_build runs the docker command, and there is none: install it")
    try:
        engine = docker.from_env(version="auto")
    except docker.errors.DockerException as exc:
        raise Failed(f"no Docker engine answers: {exc}") from None
    with tempfile.TemporaryDirectory(prefix="salt-ubiq-benchmark-") as path:
        directory = Path(path)
        bench = Benchmark(engine, Salt(directory), directory)
        had_debian = bool(engine.images.list(DEBIAN))
        try:
            bench.prepare()
            yield bench
        finally:
            with uninterrupted():
                bench.remove()
                if not had_debian:
                    attempt(engine.images.remove, DEBIAN)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C has no effect meanwhile."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def measure(bench: Benchmark, rounds: int) -> Results:
    """Build everything once, and then in turn as often as there are rounds."""
    builds: dict[tuple[Workload, str], list[Build]] = {}
    for number in range(rounds + 1):
        label = f"round {number} of {rounds}" if number else "before the rounds"
        for workload in WORKLOADS:
            for way, title in WAYS.items():
                start = f"{label:<18} {workload.title:<14} {title:<26}"
                print(start, end="", file=sys.stderr, flush=True)
                build = bench.build(workload, way)
                print(f"{build.seconds:7.2f} s", file=sys.stderr)
                builds.setdefault((workload, way), []).append(build)
            if not number:
                check_packages({way: builds[workload, way][0] for way in WAYS if way != BARE})
    return {
        workload: {
            way: Measured(builds[workload, way][0], tuple(builds[workload, way][1:]))
            for way in WAYS
        }
        for workload in WORKLOADS
    }


def check_packages(builds: Mapping[str, Build]) -> None:
    """Fail unless all images have the same packages: else the times say nothing."""
    expected = builds[DOCKERFILE].packages
    for way, build in builds.items():
        if different := expected ^ build.packages:
            names = ", ".join(sorted(different))
            raise Failed(f"{WAYS[way]} and the Dockerfile do not install the same: {names}")


def ratios(results: Results) -> dict[Comparison, float]:
    """Return the ratios of medians."""
    return {
        each: results[each.workload][each.of].median(each.measure)
        / results[each.workload][each.to].median(each.measure)
        for each in COMPARISONS
    }


def machine(engine_version: str, load_before: float) -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {
            "engine": engine_version,
            "salt": importlib.metadata.version("salt"),
            "salt_ubiq": importlib.metadata.version("salt-ubiq"),
            "python": platform.python_version(),
        },
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }


def report(results: Results, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return all numbers as JSON has them."""
    return {
        **facts,
        "rounds": len(results[TRIVIAL][OURS].rounds),
        "builds": {
            workload.name: {
                way: {
                    "first_seconds": measured.first.seconds,
                    "seconds": measured.seconds,
                    "median_seconds": measured.median("seconds"),
                    "layer_bytes": [build.bytes for build in measured.rounds],
                    "median_layer_bytes": measured.median("bytes"),
                }
                for way, measured in ways.items()
            }
            for workload, ways in results.items()
        },
        "once_seconds": once(results),
        "ratios": [
            {
                "workload": each.workload.name,
                "measure": each.measure,
                "of": each.of,
                "to": each.to,
                "ratio": ratio,
                "least": each.least,
                "most": each.most,
                "reached": each.reached(ratio),
            }
            for each, ratio in ratios(results).items()
        ],
    }


def once(results: Results) -> float:
    """Return what our very first build takes longer than a later one."""
    ours = results[TRIVIAL][OURS]
    return ours.first.seconds - ours.median("seconds")


def text(results: Results, facts: Mapping[str, Any]) -> str:
    """Return all numbers as a person reads them."""
    versions = facts["versions"]
    return "\n".join(
        [
            f"Salt {versions['salt']}, Python {versions['python']}, "
            f"Docker {versions['engine']}, {facts['cores']} cores, "
            f"load {facts['load_before']} before and {facts['load_after']} after",
            "",
            *_builds(results),
            "",
            *_notes(results, facts),
            "",
            *_ratios(results),
        ]
    )


def _builds(results: Results) -> Iterator[str]:
    yield f"{'seconds':<28}{'first':>8}{'median':>9}{'least':>9}{'most':>9}{'layer':>13}"
    for workload, ways in results.items():
        yield workload.title
        for way, measured in ways.items():
            seconds = measured.seconds
            yield (
                f"  {WAYS[way]:<26}{measured.first.seconds:8.2f}{measured.median('seconds'):9.2f}"
                f"{min(seconds):9.2f}{max(seconds):9.2f}{_size(measured.median('bytes')):>13}"
            )


def _size(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:.0f} B"


def _notes(results: Results, facts: Mapping[str, Any]) -> Iterator[str]:
    count = len(results[TRIVIAL][OURS].rounds)
    made = "made" if facts["runtime_made"] else "not made, the engine had it"
    yield f"first: one build of each before the rounds; not in the medians of {count} rounds."
    yield (
        f"Once, ours: {once(results):.2f} s more than later "
        f"(Salt runtime: {made}; grains of the base)."
    )


def _ratios(results: Results) -> Iterator[str]:
    yield f"{'ratio of medians':<50}{'':>7}  target"
    for each, ratio in ratios(results).items():
        verdict = "reached" if each.reached(ratio) else "MISSED"
        title = f"{each.workload.title:<15}{each.title}"
        line = f"{title:<50}{ratio:7.2f}  {each.target():<13}"
        yield f"{line}{verdict if each.most else ''}".rstrip()


def main() -> int:
    """Measure and tell; the exit status is 1 where a target is missed, 2 on failure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0].strip())
    parser.add_argument("--rounds", type=int, default=3, help="builds of each (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    if options.json and not options.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no directory {options.json.parent}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        load = os.getloadavg()[0]
        with benchmark() as bench:
            runtimes = bench.runtimes()
            results = measure(bench, options.rounds)
            facts = machine(bench.engine_version, load)
            facts["runtime_made"] = bool(bench.runtimes() - runtimes)
    except Failed as exc:
        print(f"\n{exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; what it made is removed", file=sys.stderr)
        return 130
    if options.json:
        options.json.write_text(json.dumps(report(results, facts), indent=2) + "\n")
    print("\n" + text(results, facts))
    return 0 if all(each.reached(ratio) for each, ratio in ratios(results).items()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""
How long a build takes, and how large its layer is: plain ``docker.sls_build``,
ours, and a Dockerfile that installs the same packages without Salt.

They run in turn, so that whatever else the machine does hits all of them alike.
Whatever is made on the engine is removed in the end, but for the Salt runtime,
which is every build's.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import docker
from common import DEBIAN, REPOSITORY, Failed, Salt, attempt, uninterrupted

BENCHMARK = "builds"
IMAGES = common.images(BENCHMARK)
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


def reference(workload: Workload, way: str) -> str:
    """Return what the image is called."""
    return f"{IMAGES}/{workload.name}:{way}"


def service(workload: Workload, way: str) -> str:
    """Return the name of one of our builds in the catalogue."""
    return f"benchmark-{workload.name}-{way}"


def catalogue() -> dict[str, Any]:
    """Return the pillar that declares our builds and their base."""
    base = common.debian_python(BASE)
    services = {
        service(workload, way): {
            "repository": f"{IMAGES}/{workload.name}",
            "tags": [way],
            "base": {OURS: "benchmark-base", BARE: DEBIAN}[way],
            "mods": list(workload.mods),
            "config": {"labels": common.labels(BENCHMARK)},
            # No other way here looks at what it has built.
            "converged": False,
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
        self._salt.configure(catalogue(), ["admin", "web-moodle"])
        files = self._salt.files
        (files / "_docker").symlink_to(REPOSITORY / "_docker")
        (files / "benchmark").mkdir()
        (files / "benchmark" / "init.sls").write_text(TRIVIAL_STATE)
        for workload in WORKLOADS:
            context = self._directory / workload.name
            context.mkdir()
            (context / "salt-ubiq-benchmark").write_text(TRIVIAL_FILE)
            # The label goes first: then what an interrupted build leaves bears it.
            lines = [f"FROM {BASE}", f"LABEL {common.label(BENCHMARK)}", workload.instructions]
            (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        self._salt.call("ubiq_docker.build_base", "benchmark-base")

    def build(self, workload: Workload, way: str) -> Build:
        """Build once; the image is looked at and removed outside the time taken."""
        image_name = reference(workload, way)
        os.sync()  # else this build pays for writing what the one before it made
        seconds = self._build(workload, way)
        image = self._engine.images.get(image_name)
        base = self._engine.images.get(BASES[way])
        packages = common.packages(self._engine, image_name, BENCHMARK)
        self._engine.images.remove(image_name)
        return Build(seconds, image.attrs["Size"] - base.attrs["Size"], packages)

    def _build(self, workload: Workload, way: str) -> float:
        if way == PLAIN:
            return self._salt.sls_build(reference(workload, way), BASE, workload.mods, BENCHMARK)
        if way == DOCKERFILE:
            tag = reference(workload, way)
            command = ["docker", "build", "--no-cache", "--force-rm", "--tag", tag, "."]
            return common.run(command, self._directory / workload.name)
        return self._salt.call("ubiq_docker.build_service", service(workload, way))

    @property
    def runtime(self) -> str | None:
        """The name of the Salt runtime that was used."""
        return self._salt.runtime

    def remove(self) -> None:
        """Remove everything of this benchmark from the engine, but the Salt runtime."""
        common.remove(self._engine, BENCHMARK, self._salt.workspace)


@contextmanager
def benchmark(engine: docker.DockerClient) -> Iterator[Benchmark]:
    """A prepared benchmark; afterwards, nothing is left of it."""
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
    return "\n".join(
        [
            common.heading(facts),
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
    """Measure and tell; the exit status is 1 where a target is missed."""
    options = common.options(__doc__, rounds=3)
    engine = common.connect()
    load = os.getloadavg()[0]
    with benchmark(engine) as bench:
        before = common.runtimes(engine)
        results = measure(bench, options.rounds)
        facts = common.machine(engine, load)
        facts["runtime_made"] = bench.runtime not in before
    if options.json:
        options.json.write_text(json.dumps(report(results, facts), indent=2) + "\n")
    print("\n" + text(results, facts))
    return 0 if all(each.reached(ratio) for each, ratio in ratios(results).items()) else 1


if __name__ == "__main__":
    sys.exit(common.guarded(main))

"""
How long all images of the shipped catalogue take, built cold: the guide's way,
``docker build`` and then one ``docker.sls_build`` after the other, and ours,
one ``ubiq_docker.build_all``.

Each way has a Salt and a cache of its own in each round. Whatever is made on the
engine is removed in the end, but for the Salt runtime, which is every build's.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import docker
import yaml
from common import DEBIAN, REPOSITORY, Failed, Salt, attempt, uninterrupted

from salt_ubiq import catalogue, graph
from salt_ubiq.catalogue import Base, Catalogue, Service

BENCHMARK = "all"
# Of the repository's pillar, beside the catalogue.
PILLAR = ("admin", "web-moodle", "postgresql")
GUIDE, OURS = "guide", "ours"
WAYS = {GUIDE: "the guide's way", OURS: "ours"}
MOST = 0.40


@dataclass(frozen=True)
class Build:
    """All images built once: seconds by command, packages by image, the runtime of ours."""

    steps: Mapping[str, float]
    packages: Mapping[str, frozenset[str]]
    runtime: str | None

    @property
    def seconds(self) -> float:
        """Of all commands, which ran one after the other."""
        return sum(self.steps.values())


Results = Mapping[str, Sequence[Build]]


def declaration() -> dict[str, Any]:
    """Return the shipped catalogue, its images under this benchmark's name."""
    declared = yaml.safe_load((REPOSITORY / "pillar" / "ubiq.sls").read_text())
    for section in (declared["ubiq"]["bases"], declared["ubiq"]["services"]):
        for name, image in section.items():
            image["repository"] = f"{common.images(BENCHMARK)}/{name}"
    return dict(declared)


class Cold:
    """An engine and a Salt that have nothing of an earlier build but the Salt runtime."""

    def __init__(self, engine: docker.DockerClient, directory: Path) -> None:
        declared = declaration()
        self.images: Catalogue = catalogue.parse(declared["ubiq"])
        self.salt = Salt(directory)
        self._engine = engine
        self.salt.configure(declared, PILLAR)
        for base in self.images.bases:
            self._copy(base)

    def _copy(self, base: Base) -> None:
        """
        Give Salt a base's build context, with a label that nothing else ever had.

        It keeps the engine from using its cache, as ``--no-cache`` would, which
        ours can't be told; and what an interrupted build leaves bears it.
        """
        context = self._context(base)
        shutil.copytree(REPOSITORY / context.relative_to(self.salt.files), context)
        dockerfile = context / "Dockerfile"
        label = f"LABEL {common.label(BENCHMARK)} salt-ubiq-benchmark-build={uuid.uuid4()}"
        lines = dockerfile.read_text().splitlines()
        last_from = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
        lines.insert(last_from + 1, label)
        dockerfile.write_text("\n".join(lines) + "\n")

    def _context(self, base: Base) -> Path:
        return self.salt.files / base.dockerfile.removeprefix("salt://")

    def build(self, way: str) -> Build:
        """Build all images; they are looked at outside the time taken."""
        steps = {GUIDE: self._by_the_guide, OURS: self._by_us}[way]()
        packages = {}
        for image in self.images:
            if not self._engine.images.list(image.reference):
                raise Failed(f"{WAYS[way]}: no error, but there is no {image.reference}")
            packages[image.name] = common.packages(self._engine, image.reference, BENCHMARK)
        return Build(steps, packages, self.salt.runtime)

    def _by_the_guide(self) -> dict[str, float]:
        names = graph.select(self.images.edges)
        return {name: self._plain(self.images[name]) for name in names}

    def _plain(self, image: Base | Service) -> float:
        if isinstance(image, Service):
            parent = self.images.parent_of(image)
            base = parent.reference if parent else image.base
            return self.salt.sls_build(image.reference, base, image.mods, BENCHMARK)
        arguments = [f"--build-arg={key}={value}" for key, value in image.buildargs.items()]
        command = ["docker", "build", "--no-cache", "--force-rm", *arguments]
        return common.run([*command, "--tag", image.reference, "."], self._context(image))

    def _by_us(self) -> dict[str, float]:
        return {"ubiq_docker.build_all": self.salt.call("ubiq_docker.build_all")}


@contextmanager
def cold(engine: docker.DockerClient) -> Iterator[Cold]:
    """A cold start; afterwards, nothing is left of it."""
    directory = Path(tempfile.mkdtemp(prefix="salt-ubiq-benchmark-"))
    try:
        yield Cold(engine, directory)
    finally:
        with uninterrupted():
            common.remove(engine, BENCHMARK, Salt(directory).workspace)
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def debian(engine: docker.DockerClient) -> Iterator[None]:
    """See to it that the engine has what the bases are built from."""
    if engine.images.list(DEBIAN):
        yield
        return
    print(f"making {DEBIAN} first, which the engine lacks", file=sys.stderr)
    try:
        with cold(engine) as site:
            for base in site.images.bases:
                site.salt.call("ubiq_docker.build_base", base.name)
        yield
    finally:
        with uninterrupted():
            attempt(engine.images.remove, DEBIAN)


def measure(engine: docker.DockerClient, rounds: int) -> Results:
    """Build everything in both ways in each round, in turn the one and the other first."""
    builds: dict[str, list[Build]] = {way: [] for way in WAYS}
    for number in range(1, rounds + 1):
        for way in list(WAYS)[:: 1 if number % 2 else -1]:
            print(f"round {number} of {rounds}  {WAYS[way]:<18}", end="", file=sys.stderr)
            sys.stderr.flush()
            with cold(engine) as site:
                build = site.build(way)
            builds[way].append(build)
            print(f"{build.seconds:7.2f} s", file=sys.stderr)
        check_packages({way: builds[way][-1] for way in WAYS})
    return builds


def check_packages(builds: Mapping[str, Build]) -> None:
    """Fail unless both ways install the same packages: else the times say nothing."""
    for name, expected in builds[GUIDE].packages.items():
        if different := expected ^ builds[OURS].packages[name]:
            raise Failed(f"{name}: not the same packages: {', '.join(sorted(different))}")


def seconds(builds: Sequence[Build]) -> list[float]:
    """Return those of each round."""
    return [build.seconds for build in builds]


def ratio(results: Results) -> float:
    """Return that of the medians, ours / the guide's way."""
    return statistics.median(seconds(results[OURS])) / statistics.median(seconds(results[GUIDE]))


def report(results: Results, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return all numbers as JSON has them."""
    return {
        **facts,
        "rounds": len(results[OURS]),
        "ways": {
            way: {
                "seconds": seconds(builds),
                "median_seconds": statistics.median(seconds(builds)),
                "steps": [dict(build.steps) for build in builds],
            }
            for way, builds in results.items()
        },
        "ratio": ratio(results),
        "most": MOST,
        "reached": ratio(results) <= MOST,
    }


def text(results: Results, facts: Mapping[str, Any]) -> str:
    """Return all numbers as a person reads them."""
    runtime = "made within ours" if facts["runtime_made"] else "the engine had it"
    verdict = "reached" if ratio(results) <= MOST else "MISSED"
    return "\n".join(
        [
            common.heading(facts),
            "",
            *_seconds(results),
            "",
            f"Salt runtime: {runtime}.",
            f"ours / the guide's way: {ratio(results):.2f}, at most {MOST:.2f}: {verdict}",
        ]
    )


def _seconds(results: Results) -> Iterator[str]:
    rounds = "".join(f"{f'round {number}':>10}" for number in range(1, len(results[OURS]) + 1))
    yield f"{'seconds':<28}{rounds}{'median':>10}"
    for way, builds in results.items():
        yield _row(WAYS[way], seconds(builds))
        for step in builds[0].steps:
            yield _row(f"  {step}", [build.steps[step] for build in builds])


def _row(title: str, rounds: Sequence[float]) -> str:
    return f"{title:<28}" + "".join(
        f"{each:10.2f}" for each in [*rounds, statistics.median(rounds)]
    )


def main() -> int:
    """Measure and tell; the exit status is 1 where the aim is missed."""
    options = common.options(__doc__, rounds=2)
    engine = common.connect()
    load = os.getloadavg()[0]
    with debian(engine):
        before = common.runtimes(engine)
        results = measure(engine, options.rounds)
        facts = common.machine(engine, load)
        facts["runtime_made"] = any(build.runtime not in before for build in results[OURS])
    if options.json:
        options.json.write_text(json.dumps(report(results, facts), indent=2) + "\n")
    print("\n" + text(results, facts))
    return 0 if ratio(results) <= MOST else 1


if __name__ == "__main__":
    sys.exit(common.guarded(main))

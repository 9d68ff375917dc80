"""
How long all images of the shipped catalogue take, built cold, and how much space:
the guide's way, ``docker build`` and then one ``docker.sls_build`` after the other,
and ours, one ``ubiq_docker.build_all``, with shared layers and without.

Each way has a Salt and a cache of its own in each round. Whatever is made on the
engine is removed in the end, but for the Salt runtime, which is every build's.
"""

from __future__ import annotations

import argparse
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

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.catalogue.parse import parse

BENCHMARK = "all"
GUIDE, UNSHARED, OURS = "guide", "unshared", "ours"
WAYS = {GUIDE: "the guide's way", UNSHARED: "ours, nothing shared", OURS: "ours"}
SHARED = "salt-ubiq.local/shared"


@dataclass(frozen=True)
class Comparison:
    """A ratio of ours to another way, and what it is to be at most."""

    measure: str
    to: str
    most: float


COMPARISONS = (
    Comparison("seconds", GUIDE, 0.40),
    Comparison("seconds", UNSHARED, 1 / 1.3),
    Comparison("bytes", UNSHARED, 0.60),
)


@dataclass(frozen=True)
class Build:
    """
    All images built once: seconds by command, bytes of all layers on the bases, packages
    by image.
    """

    steps: Mapping[str, float]
    bytes: int
    packages: Mapping[str, frozenset[str]]

    @property
    def seconds(self) -> float:
        """Of all commands, which ran one after the other."""
        return sum(self.steps.values())


Results = Mapping[str, Sequence[Build]]


def pillar() -> list[str]:
    """Return the SLS files of the repository's pillar, beside the catalogue."""
    top = yaml.safe_load((REPOSITORY / "pillar" / "top.sls").read_text())
    return [sls for sls in top["base"]["*"] if sls != "ubiq"]


@dataclass(frozen=True)
class Choice:
    """
    What is measured.

    services
        their names, none for all

    certificates
        a bundle of this host that builds trust, for a proxy that has one of its own
    """

    services: Sequence[str] = ()
    certificates: Path | None = None


def declaration(way: str, choice: Choice) -> dict[str, Any]:
    """Return the shipped catalogue, its images under this benchmark's name."""
    declared = yaml.safe_load((REPOSITORY / "pillar" / "ubiq.sls").read_text())
    defaults: dict[str, Any] = {"share": way != UNSHARED, "converged": False}
    if choice.certificates:
        seen = f"/dev/salt-ubiq/certificates/{choice.certificates.name}"
        defaults["build"] = {
            "binds": [f"{choice.certificates.parent}:{Path(seen).parent}:ro"],
            "environment": {"SSL_CERT_FILE": seen},
        }
    declared["ubiq"]["defaults"] = defaults
    services = declared["ubiq"]["services"]
    if unknown := set(choice.services) - services.keys():
        raise Failed(f"no service {', '.join(sorted(unknown))} in the shipped catalogue")
    for name in services.keys() - set(choice.services or services):
        del services[name]
    for section in (declared["ubiq"]["bases"], declared["ubiq"]["services"]):
        for name, image in section.items():
            image["repository"] = f"{common.images(BENCHMARK)}/{name}"
    return dict(declared)


class Cold:
    """An engine and a Salt that have nothing of an earlier build but the Salt runtime."""

    def __init__(
        self, engine: docker.DockerClient, directory: Path, way: str, choice: Choice
    ) -> None:
        self._way = way
        declared = declaration(way, choice)
        self.images: Catalogue = parse(declared["ubiq"])
        self.salt = Salt(directory)
        self._engine = engine
        self.salt.configure(declared, pillar())
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

    def build(self) -> Build:
        """Build all images; they are looked at outside the time taken."""
        os.sync()  # else this pays for writing what was made before it
        steps = self._by_the_guide() if self._way == GUIDE else self._by_us()
        packages = {}
        for image in self.images:
            if not self._engine.images.list(image.reference):
                raise Failed(f"{WAYS[self._way]}: no error, but there is no {image.reference}")
            packages[image.name] = common.packages(self._engine, image.reference, BENCHMARK)
        return Build(steps, self._bytes(), packages)

    def _bytes(self) -> int:
        """What all images take beside their bases: each layer once."""
        sizes: dict[str, int] = {}
        bases = {self._engine.images.get(base.reference).id for base in self.images.bases}
        for image in self.images:
            found = self._engine.images.get(image.reference)
            while found.id not in bases | sizes.keys():
                parent = self._engine.images.get(found.attrs["Parent"])
                sizes[found.id] = found.attrs["Size"] - parent.attrs["Size"]
                found = parent
        return sum(sizes.values())

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


def shared(engine: docker.DockerClient) -> set[str]:
    """Return the names of all shared layers on the engine."""
    return {tag for image in engine.images.list(SHARED) for tag in image.tags}


@contextmanager
def cold(engine: docker.DockerClient, way: str, choice: Choice) -> Iterator[Cold]:
    """A cold start; afterwards, nothing is left of it."""
    directory = Path(tempfile.mkdtemp(prefix="salt-ubiq-benchmark-"))
    before = shared(engine)
    try:
        yield Cold(engine, directory, way, choice)
    finally:
        with uninterrupted():
            for name in shared(engine) - before:
                attempt(engine.images.remove, name)
            common.remove(engine, BENCHMARK, Salt(directory).workspace)
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def prepared(engine: docker.DockerClient) -> Iterator[None]:
    """See to it that the engine has the Salt runtime, and what the bases are built from."""
    had = bool(engine.images.list(DEBIAN))
    print("building the bases once, and the Salt runtime", file=sys.stderr)
    try:
        with cold(engine, OURS, Choice()) as site:
            for base in site.images.bases:
                site.salt.call("ubiq_docker.build_base", base.name)
                site.salt.call("ubiq_docker.packages", base.name)  # is done by the runtime
        yield
    finally:
        with uninterrupted():
            if not had:
                attempt(engine.images.remove, DEBIAN)


def measure(
    engine: docker.DockerClient, ways: Sequence[str], rounds: int, choice: Choice
) -> Results:
    """Build everything in those ways in each round, every other time the last one first."""
    builds: dict[str, list[Build]] = {way: [] for way in ways}
    for number in range(1, rounds + 1):
        for way in ways[:: 1 if number % 2 else -1]:
            print(f"round {number} of {rounds}  {WAYS[way]:<22}", end="", file=sys.stderr)
            sys.stderr.flush()
            with cold(engine, way, choice) as site:
                build = site.build()
            builds[way].append(build)
            print(f"{build.seconds:8.2f} s", file=sys.stderr)
        check_packages({way: builds[way][-1] for way in ways})
    return builds


def check_packages(builds: Mapping[str, Build]) -> None:
    """Fail unless all ways install the same packages: else the numbers say nothing."""
    first, *others = builds.values()
    for name, expected in first.packages.items():
        for other in others:
            if different := expected ^ other.packages[name]:
                raise Failed(f"{name}: not the same packages: {', '.join(sorted(different))}")


def median(results: Results, way: str, measure: str) -> float:
    """Return that of all rounds, of ``seconds`` or ``bytes``."""
    return float(statistics.median(getattr(build, measure) for build in results[way]))


def ratios(results: Results) -> dict[Comparison, float]:
    """Return those of the medians, ours to each other way that was measured."""
    return {
        each: median(results, OURS, each.measure) / median(results, each.to, each.measure)
        for each in COMPARISONS
        if each.to in results
    }


def report(results: Results, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return all numbers as JSON has them."""
    return {
        **facts,
        "rounds": len(results[OURS]),
        "ways": {
            way: {
                "seconds": [build.seconds for build in builds],
                "median_seconds": median(results, way, "seconds"),
                "median_bytes": median(results, way, "bytes"),
                "steps": [dict(build.steps) for build in builds],
            }
            for way, builds in results.items()
        },
        "ratios": [
            {
                "measure": each.measure,
                "to": each.to,
                "ratio": ratio,
                "most": each.most,
                "reached": ratio <= each.most,
            }
            for each, ratio in ratios(results).items()
        ],
    }


def text(results: Results, facts: Mapping[str, Any]) -> str:
    """Return all numbers as a person reads them."""
    return "\n".join(
        [
            common.heading(facts),
            "",
            *_seconds(results),
            "",
            *_ratios(results),
        ]
    )


def _seconds(results: Results) -> Iterator[str]:
    rounds = "".join(f"{f'round {number}':>10}" for number in range(1, len(results[OURS]) + 1))
    yield f"{'seconds':<28}{rounds}{'median':>10}{'layers':>12}"
    for way, builds in results.items():
        layers = f"{median(results, way, 'bytes') / 1e6:.0f} MB"
        yield _row(WAYS[way], [build.seconds for build in builds]) + f"{layers:>12}"
        for step in builds[0].steps:
            yield _row(f"  {step}", [build.steps[step] for build in builds])


def _row(title: str, rounds: Sequence[float]) -> str:
    return f"{title:<28}" + "".join(
        f"{each:10.2f}" for each in [*rounds, statistics.median(rounds)]
    )


def _ratios(results: Results) -> Iterator[str]:
    for each, ratio in ratios(results).items():
        verdict = "reached" if ratio <= each.most else "MISSED"
        title = f"{each.measure}: ours / {WAYS[each.to]}"
        yield f"{title:<40}{ratio:6.2f}, at most {each.most:.2f}: {verdict}"


def main() -> int:
    """Measure and tell; the exit status is 1 where an aim is missed."""

    def add_ways(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--without", choices=[GUIDE, UNSHARED], help="a way to leave out: each takes minutes"
        )
        parser.add_argument(
            "--services", metavar="NAME", nargs="+", default=(), help="these instead of all"
        )
        parser.add_argument(
            "--certificates",
            metavar="FILE",
            type=Path,
            help="a bundle that ours trusts while it builds, for a proxy with one of its own",
        )

    options = common.options(__doc__, rounds=2, more=add_ways)
    ways = [way for way in WAYS if way != options.without]
    engine = common.connect()
    load = os.getloadavg()[0]
    with prepared(engine):
        choice = Choice(options.services, options.certificates)
        results = measure(engine, ways, options.rounds, choice)
        facts = common.machine(engine, load)
    if options.json:
        options.json.write_text(json.dumps(report(results, facts), indent=2) + "\n")
    print("\n" + text(results, facts))
    return int(any(ratio > each.most for each, ratio in ratios(results).items()))


if __name__ == "__main__":
    sys.exit(common.guarded(main))

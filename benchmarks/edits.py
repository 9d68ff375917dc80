"""
How long a build takes after an edit of one page: ours, and the cached build of a Dockerfile with
the same packages whose last step copies that page.

Both are built once, edited once, and then edited in turn, once each round. Whatever is made on the
engine is removed in the end, but for the Salt runtime, which is every build's.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
import docker
from builds import ADMIN_NGINX
from common import DEBIAN, REPOSITORY, Failed, Salt, attempt, uninterrupted

BENCHMARK = "edits"
IMAGES = common.images(BENCHMARK)
BASE = f"{IMAGES}/debian-python:12"
SERVICE = "benchmark-edited"
OURS, DOCKERFILE, START = "ours", "dockerfile", "salt-call test.ping"
PAGE = "/srv/edited/page"
STATES = f"""\
{PAGE}:
  file.managed:
    - source: salt://edited/page
    - makedirs: True
"""
# Seconds over Salt's own start.
MOST = 3.0


def catalogue() -> dict[str, Any]:
    """Return the pillar that declares the service and its base."""
    base = common.debian_python(BASE)
    service = {
        "repository": f"{IMAGES}/edited",
        "tags": [OURS],
        "base": "benchmark-base",
        "mods": [*ADMIN_NGINX.mods, "edited"],
        "config": {"labels": common.labels(BENCHMARK)},
        "converged": False,  # a Dockerfile does not look at that either
    }
    return {"ubiq": {"bases": {"benchmark-base": base}, "services": {SERVICE: service}}}


class Benchmark:
    """Edits and builds in both ways, on one engine and with one Salt."""

    def __init__(self, engine: docker.DockerClient, directory: Path) -> None:
        self._engine = engine
        self._salt = Salt(directory)
        self._context = directory / "context"

    def prepare(self) -> None:
        """Make what the builds need: Salt's configuration, a build context, the base."""
        self._salt.configure(catalogue(), ["admin", "web-moodle"])
        (self._salt.files / "_docker").symlink_to(REPOSITORY / "_docker")
        (self._salt.files / "edited").mkdir()
        (self._salt.files / "edited" / "init.sls").write_text(STATES)
        self._context.mkdir()
        lines = [f"FROM {BASE}", f"LABEL {common.label(BENCHMARK)}", ADMIN_NGINX.instructions]
        (self._context / "Dockerfile").write_text("\n".join([*lines, f"COPY page {PAGE}", ""]))
        self._salt.call("ubiq_docker.build_base", "benchmark-base")

    def edited(self, text: str) -> dict[str, float]:
        """Write that into the page; return the seconds of each build, and of Salt's start."""
        (self._salt.files / "edited" / "page").write_text(text)
        (self._context / "page").write_text(text)
        os.sync()
        tag = f"{IMAGES}/edited:{DOCKERFILE}"
        command = ["docker", "build", "--force-rm", "--tag", tag, "."]
        seconds = {
            START: self._salt.call("test.ping"),
            DOCKERFILE: common.run(command, self._context),
            OURS: self._salt.call("ubiq_docker.build_service", SERVICE),
        }
        for way in (OURS, DOCKERFILE):
            image = f"{IMAGES}/edited:{way}"
            found = self._engine.containers.run(image, ["cat", PAGE], remove=True).decode()
            if found != text:
                raise Failed(f"{image} has {found!r} in {PAGE}, not {text!r}")
        return seconds

    def remove(self) -> None:
        """Remove everything of this benchmark from the engine, but the Salt runtime."""
        for image in self._engine.images.list("salt-ubiq.local/checkpoint"):
            if image.labels.get("org.salt-ubiq.image", "").startswith(f"{SERVICE}:"):
                for name in image.tags:
                    attempt(self._engine.images.remove, name)
        common.remove(self._engine, BENCHMARK, self._salt.workspace)


def main() -> int:
    """Measure and tell; the exit status is 1 where the target is missed."""
    options = common.options(__doc__, rounds=5)
    engine = common.connect()
    load = os.getloadavg()[0]
    had_debian = bool(engine.images.list(DEBIAN))
    with tempfile.TemporaryDirectory(prefix="salt-ubiq-benchmark-") as path:
        bench = Benchmark(engine, Path(path))
        try:
            bench.prepare()
            names = ["the first build", "the first edit"]
            names += [f"edit {number}" for number in range(2, options.rounds + 2)]
            builds = {}
            for name in names:
                builds[name] = bench.edited(f"{name}\n")
                told = ", ".join(f"{way} {took:.2f} s" for way, took in builds[name].items())
                print(f"{name:<16} {told}", file=sys.stderr)
        finally:
            with uninterrupted():
                bench.remove()
                if not had_debian:
                    attempt(engine.images.remove, DEBIAN)
    facts = common.machine(engine, load)
    later = [builds[name] for name in names[2:]]
    medians = {way: statistics.median(each[way] for each in later) for way in later[0]}
    over = medians[OURS] - medians[START]
    if options.json:
        report = {"facts": facts, "builds": builds, "medians": medians, "over_start": over}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(common.heading(facts))
    for way, took in medians.items():
        first, second = (builds[name][way] for name in names[:2])
        print(f"{way:<20} first {first:6.2f} s, first edit {second:6.2f} s, later {took:6.2f} s")
    print(f"ours over Salt's start: {over:.2f} s   (at most {MOST:.2f} s)")
    return 0 if over <= MOST else 1


if __name__ == "__main__":
    sys.exit(common.guarded(main))

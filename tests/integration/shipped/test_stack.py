"""The whole shipped catalogue: built by the scripts, and run as docker-compose.yml says."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver

from tests.integration.shipped.conftest import SHIPPED, run
from tests.support.waiting import eventually

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


def test_the_guides_script_for_all_builds_and_verifies_the_shipped_catalogue(
    built, catalogue, engine
):
    assert built.keys() == catalogue.keys()
    for name, result in built.items():
        assert (result["action"], result["warnings"]) == ("built", [])
        assert engine.inspect_image(result["image"])["Id"] == result["id"]
        log = Path(result["log"]).read_text()
        assert log.count(": passed in") == len(catalogue[name].get("verify", ()))


def test_a_second_run_builds_nothing(built, checkout):
    assert f"{len(built)} up to date" in run(["_docker/service/init"], checkout)


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

"""The shipped Selenium grid: a hub, and nodes whose browsers open a page of another container."""

from __future__ import annotations

import hashlib
import io
import json
import time
import urllib.request
from contextlib import ExitStack

import pytest
from PIL import Image
from salt.exceptions import CommandExecutionError
from selenium import webdriver

from tests.conftest import BASE
from tests.integration.shipped.conftest import SELENIUM_3
from tests.support.containers import running
from tests.support.waiting import eventually

NETWORK = "salt-ubiq-test-grid"
SERVER = "/opt/selenium/server.jar"
OPTIONS = {"chrome": webdriver.ChromeOptions, "firefox": webdriver.FirefoxOptions}
RED = (200, 30, 60)
PAGE = """
    <title>Served by another container</title>
    <body style="background: rgb(200, 30, 60); color: white"><h1>It opens</h1>
"""


@pytest.fixture
def selenium_3(downloads):
    """Pillar for Selenium 3, of which nothing is shipped."""
    name = "selenium-server"
    package = downloads.directory / name / "-" / f"{name}-{SELENIUM_3}.tgz"
    digest = hashlib.sha512(package.read_bytes()).hexdigest()
    source = f"{downloads.address}/{name}/-/{package.name}"
    return {"source": source, "source_hash": f"sha512={digest}"}


@pytest.fixture
def started(engine):
    """``started(image, alias, …)``: a container in the grid's network; returns its ID."""
    network = engine.create_network(NETWORK)["Id"]
    try:
        with ExitStack() as containers:

            def start(image, alias, **arguments):
                endpoint = engine.create_endpoint_config(aliases=[alias])
                networking = engine.create_networking_config({NETWORK: endpoint})
                container = running(
                    engine, image, network=NETWORK, networking_config=networking, **arguments
                )
                return containers.enter_context(container)

            yield start
    finally:
        engine.remove_network(network)


def address_of(engine, container):
    networks = engine.inspect_container(container)["NetworkSettings"]["Networks"]
    return networks[NETWORK]["IPAddress"]


def processes_of(engine, container):
    """The ID, the user's and the command line of every process."""
    return engine.top(container, "-eo pid,uid,args")["Processes"]


def open_page(engine, started, hub_image, node_image, browser, hub_path=""):
    """Open a page with a grid of these images; return its title, a screenshot, hub and node."""
    page = f"cd /tmp && echo '{PAGE}' >index.html && exec python3 -m http.server 80"
    started(BASE, "web", command=["sh", "-c", page])
    hub = started(hub_image, "selenium-hub")
    hub_address = f"http://{address_of(engine, hub)}:4444"
    eventually(lambda: urllib.request.urlopen(f"{hub_address}/status", timeout=5), 60)
    node = started(node_image, "node")

    def registered():
        assert b"registered" in engine.logs(hub).lower() or b"added" in engine.logs(node).lower()

    eventually(registered, 60)
    driver = webdriver.Remote(f"{hub_address}{hub_path}", options=OPTIONS[browser]())
    try:
        driver.get("http://web/")
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png()))
        return driver.title, picture.convert("RGB"), hub, node
    finally:
        driver.quit()


@pytest.mark.parametrize("browser", ["chrome", "firefox"])
def test_a_grid_opens_a_page(built, engine, started, browser, tmp_path):
    hub, node = (built[f"test-selenium-{kind}"]["image"] for kind in ("hub", f"node-{browser}"))
    title, picture, *containers = open_page(engine, started, hub, node, browser)
    assert title == "Served by another container"
    picture.save(tmp_path / "screenshot.png")
    colours = {colour: count for count, colour in picture.getcolors(maxcolors=100_000)}
    assert colours[RED] > picture.width * picture.height * 0.9
    assert colours[255, 255, 255] > 100, "no text"

    for container in containers:
        assert {user for _, user, _ in processes_of(engine, container)} == {"1200"}
        assert b"Started Selenium" in engine.logs(container)
    assert not [line for *_, line in processes_of(engine, containers[1]) if "defunct" in line]
    started_at = time.monotonic()
    engine.stop(containers[1], timeout=20)
    assert time.monotonic() - started_at < 10


def test_a_grid_of_selenium_3_opens_a_page(with_pillar, engine, started, selenium_3):
    pillar = {"selenium": {**selenium_3, "max_sessions": 2}}
    hub = with_pillar("selenium-hub", ["selenium.server", "selenium-hub"], pillar, SERVER)
    mods = ["selenium.server", "selenium.node", "selenium-node-chrome"]
    node = with_pillar("selenium-node-chrome", mods, pillar, SERVER)
    title, picture, *_ = open_page(engine, started, hub, node, "chrome", "/wd/hub")
    assert title == "Served by another container"
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == RED


def test_a_node_takes_hub_screen_and_sessions_from_its_surroundings(
    with_pillar, engine, started, downloads
):
    pillar = {"selenium": {"registry": downloads.address, "max_sessions": 3}}
    mods = ["selenium.server", "selenium.node", "selenium-node-chrome"]
    image = with_pillar("selenium-node-chrome", mods, pillar)
    environment = {"SELENIUM_HUB": "http://localhost:5004", "SELENIUM_SCREEN": "800x600x24"}
    node = started(image, "node", environment=environment, command="selenium-node --port 5556")
    status = eventually(
        lambda: urllib.request.urlopen(f"http://{address_of(engine, node)}:5556/status", timeout=5),
        60,
    )
    assert json.load(status)["value"]["node"]["maxSessions"] == 3
    arguments = [line for *_, line in processes_of(engine, node)]
    assert any("Xvfb" in line and "800x600x24" in line for line in arguments)
    assert any("--hub http://localhost:5004" in line for line in arguments)


def test_a_server_with_another_hash_fails_the_build(with_pillar, selenium_3):
    wrong = {**selenium_3, "source_hash": f"sha512={'0' * 128}"}
    with pytest.raises(CommandExecutionError) as raised:
        with_pillar("selenium-hub", ["selenium.server"], {"selenium": wrong}, SERVER)
    assert "0" * 128 in str(raised.value)

"""The services that come with the project: built as the catalogue says, run as a user would."""

from __future__ import annotations

import time
import urllib.request

from tests.conftest import BASE
from tests.support.containers import running
from tests.support.waiting import eventually


def test_moodle_web_serves_its_page_and_logs_to_the_container(built, engine, run_in):
    web = built["test-moodle-web"]
    assert engine.inspect_image(web["id"])["Config"]["Cmd"] == ["nginx", "-g", "daemon off;"]
    size = {name: engine.inspect_image(name)["Size"] for name in (web["id"], BASE)}
    assert run_in(web["image"], "ls", "/var/lib/apt/lists") == ""
    assert ".deb" not in run_in(web["image"], "ls", "/var/cache/apt/archives")
    assert size[web["id"]] - size[BASE] < 160_000_000

    with running(engine, web["image"], ports=[80]) as container:
        port = engine.port(container, 80)[0]["HostPort"]
        page = eventually(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5))
        assert b"<title>Moodle</title>" in page.read()
        assert b'"GET / HTTP/1.1" 200' in engine.logs(container, stderr=False)
        started = time.monotonic()
        engine.stop(container, timeout=20)
        assert time.monotonic() - started < 10
        assert engine.inspect_container(container)["State"]["ExitCode"] == 0


def test_postgresql_accepts_a_password_login_from_another_container(built, engine):
    postgresql = built["test-postgresql"]
    config = engine.inspect_image(postgresql["id"])["Config"]
    assert config["User"] == "postgres"
    assert config["Volumes"] == {"/var/lib/postgresql/data": {}}

    network = engine.create_network("salt-ubiq-test")["Id"]
    try:
        with running(
            engine,
            postgresql["image"],
            name="salt-ubiq-test-database",
            network="salt-ubiq-test",
            environment={"MOODLE_PASSWORD": "correct horse"},
        ):

            def login(password):
                with running(
                    engine,
                    postgresql["image"],
                    network="salt-ubiq-test",
                    environment={"PGPASSWORD": password},
                    command="psql -h salt-ubiq-test-database -U moodle -tAc 'select 6 * 7'",
                ) as client:
                    engine.wait(client)
                    return engine.logs(client).decode().strip()

            def succeeds():
                printed = login("correct horse")
                assert printed == "42", printed

            eventually(succeeds)
            assert "password authentication failed" in login("wrong")
    finally:
        engine.remove_network(network)


def test_postgresql_without_its_password_says_what_is_missing(built, engine):
    postgresql = built["test-postgresql"]
    with running(engine, postgresql["image"]) as container:
        assert engine.wait(container)["StatusCode"] != 0
        assert b"MOODLE_PASSWORD" in engine.logs(container)

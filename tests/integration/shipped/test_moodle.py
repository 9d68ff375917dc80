"""The shipped services for Moodle, with a few PHP files that stand in for Moodle's code."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from collections import namedtuple
from contextlib import contextmanager

import pytest
from salt.exceptions import CommandExecutionError

from tests.support.containers import running
from tests.support.downloads import served
from tests.support.waiting import eventually

NETWORK = "salt-ubiq-test-moodle"
REQUIRED = set(
    "ctype curl dom exif fileinfo filter gd hash iconv intl json mbstring openssl pcre pgsql "
    "simplexml sodium soap spl tokenizer xml xmlreader zip zlib".split()
)
CODE = {
    "index.php": """<?php
        foreach (['max_execution_time', 'memory_limit', 'post_max_size', 'upload_max_filesize',
            'max_input_vars'] as $name) {
            $values[$name] = ini_get($name);
        }
        $body = strlen(file_get_contents('php://input'));
        echo json_encode(['path' => $_SERVER['PATH_INFO'], 'body' => $body] + $values);
        error_log('said by PHP');
    """,
    "sleep.php": "<?php sleep(3); echo 'rested';",
    "settings.php": "<?php require 'config.php';",
    "lib/setup.php": "<?php echo json_encode($CFG);",
    "admin/cli/cron.php": "<?php echo 'cron ', $argv[1], ' of ', posix_geteuid();",
    "theme.css": "p {}",
    ".git/config": "hidden",
}
CODE |= {f"admin/{name}": CODE[name] for name in ("index.php", "sleep.php")}
# Limits that a test can reach; one process, so that each request follows another in it.
PILLAR = {
    "nginx": {
        "servers": {
            "moodle": {
                "client_max_body_size": "100k",
                "lanes": {
                    "slow": {"timeout": 20, "client_max_body_size": "1m"},
                    "medium": None,
                    "fast": {"timeout": 1},
                    "own": {"location": "^/own", "timeout": 5, "php": {"memory_limit": "99M"}},
                },
            }
        }
    },
    "php": {"fpm": {"www": {"pm": "static", "pm.max_children": 1}}},
}
Answer = namedtuple("Answer", "status text")


def archive(files, secret=None):
    """A tar archive of Moodle's code and of the file with the password, readable for all."""
    contents = {f"var/www/moodle/{name}": text for name, text in files.items()}
    if secret:
        contents["run/secrets/moodle"] = secret
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in contents.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def web(with_pillar):
    """The web server with that pillar."""
    return with_pillar("moodle-web", ["web-moodle"], PILLAR)


@pytest.fixture
def app(with_pillar):
    """The app with that pillar."""
    return with_pillar("moodle-app", ["app-moodle"], PILLAR)


@pytest.fixture
def site(engine, web, app):
    """
    ``with site(**arguments) as (ask, app):`` runs the web server and, where it is given
    arguments, the app, on a network of their own; ``ask(path, data)`` returns the answer.
    """

    @contextmanager
    def run(**arguments):
        network = engine.create_network(NETWORK)["Id"]
        web_server = running(engine, web, network=NETWORK, files=archive(CODE), ports=[80])
        try:
            with web_server as container:
                port = engine.port(container, 80)[0]["HostPort"]

                def ask(path, data=None):
                    try:
                        url = f"http://127.0.0.1:{port}{path}"
                        with urllib.request.urlopen(url, data, timeout=20) as answer:
                            return Answer(answer.status, answer.read().decode())
                    except urllib.error.HTTPError as exc:
                        return Answer(exc.code, exc.read().decode())

                eventually(lambda: ask("/theme.css"))
                if not arguments:
                    yield ask, None
                    return
                app_server = running(
                    engine,
                    app,
                    network=NETWORK,
                    networking_config=engine.create_networking_config(
                        {NETWORK: engine.create_endpoint_config(aliases=["moodle-app"])}
                    ),
                    files=archive(CODE),
                    **arguments,
                )
                with app_server as app_container:

                    def answers():
                        assert ask("/index.php").status == 200

                    eventually(answers)
                    yield ask, app_container
        finally:
            engine.remove_network(network)

    return run


def test_web_starts_without_the_app_and_tells_visitors(site):
    with site() as (ask, _):
        assert ask("/theme.css") == Answer(200, "p {}")
        assert ask("/.git/config").status == 404
        missing = ask("/nothing.css")
        assert missing.status == 404 and "There is no page" in missing.text
        unavailable = ask("/index.php")
        assert unavailable.status == 502 and "Not available" in unavailable.text


def test_each_request_has_its_lanes_limits(site, engine):
    with site(environment={"MOODLE_PASSWORD": "x"}) as (ask, app):
        fast = json.loads(ask("/index.php/a/b.png").text)
        slow = json.loads(ask("/admin/").text)
        again = json.loads(ask("/").text)
        assert (fast["path"], slow["path"]) == ("/a/b.png", "")
        limits = {"max_execution_time": "1", "memory_limit": "128M", "max_input_vars": "5000"}
        assert fast.items() >= {**limits, "post_max_size": "100k"}.items()
        assert slow.items() >= {"max_execution_time": "20", "memory_limit": "1024M"}.items()
        assert slow.items() >= {"post_max_size": "1m", "upload_max_filesize": "1m"}.items()
        assert again == {**fast, "path": ""}

        too_large = ask("/index.php", b"a" * 300_000)
        assert too_large.status == 413 and "larger than the site allows" in too_large.text
        assert json.loads(ask("/admin/index.php", b"a" * 300_000).text)["body"] == 300_000
        assert ask("/admin/index.php", b"a" * 1_100_000).status == 413

        assert ask("/sleep.php").status == 504
        assert ask("/admin/sleep.php") == Answer(200, "rested")
        assert ask("/theme.css/x.php").status == 403

        assert b"said by PHP" in engine.logs(app)
        assert engine.inspect_image(engine.inspect_container(app)["Image"])["Config"]["User"]
        engine.stop(app, timeout=20)
        assert engine.inspect_container(app)["State"]["ExitCode"] == 0


def test_pillar_adds_lanes_before_the_others_and_takes_them_away(web, run_in):
    config = run_in(web, "cat", "/etc/nginx/sites-enabled/moodle.conf")
    lanes = [line.split()[-1] for line in config.splitlines() if "# The lane" in line]
    assert lanes == ["own.", "slow.", "fast."]
    assert "memory_limit=99M" in config


@pytest.fixture
def said(engine, app):
    """``said(*command)``: the app's exit status for a command, and what it printed."""

    def run(*command, files=CODE, secret=None):
        arguments = {"command": list(command), "files": archive(files, secret)}
        with running(engine, app, **arguments) as container:
            status = engine.wait(container)["StatusCode"]
            return status, engine.logs(container).decode()

    return run


def test_config_php_has_what_the_environment_says(site):
    given = {"MOODLE_PASSWORD": "it's", "MOODLE_DBHOST": "db"}
    with site(environment=given) as (ask, _):
        settings = json.loads(ask("/settings.php").text)
    assert (settings["dbpass"], settings["dbhost"]) == ("it's", "db")
    assert settings["wwwroot"] == "http://localhost"
    assert settings["directorypermissions"] == 0o2770


def test_config_php_has_the_password_of_a_file_or_says_what_to_set(said):
    command = ("php", "/var/www/moodle/settings.php")
    status, printed = said(*command, secret="from a file\n")
    assert (status, json.loads(printed)["dbpass"]) == (0, "from a file")
    status, printed = said(*command)
    assert status != 0
    assert "no dbpass: set MOODLE_PASSWORD or mount /run/secrets/moodle" in printed


def test_moodle_cron_runs_moodles_own_unprivileged(said):
    assert said("moodle-cron", "once") == (0, "cron once of 33")
    status, printed = said("moodle-cron", files={})
    assert status == 1
    assert "no Moodle in /var/www/moodle" in printed


def test_app_has_what_moodle_requires_and_no_systemd(built, run_in, engine):
    app = built["test-moodle-app"]["image"]
    modules = run_in(app, "php", "-m").lower().split()
    assert set(modules) >= REQUIRED
    assert "opcache" in modules  # [Zend Modules] Zend OPcache
    assert "systemd" not in run_in(app, "ls", "/lib/systemd").split()
    config = engine.inspect_image(app)["Config"]
    assert (config["User"], config["Volumes"]) == ("www-data", {"/var/lib/moodle": {}})


def test_debug_images_have_what_debugging_needs(built, run_in, engine):
    app = built["test-moodle-app-debug"]["image"]
    found = run_in(app, "php", "-r", "echo json_encode(ini_get_all(null, false));")
    values = json.loads(found)
    assert values["xdebug.mode"] == "develop,debug"
    assert values["display_errors"] == "1" and values["error_reporting"] == "-1"
    assert "$CFG->debug = 32767;" in run_in(app, "cat", "/etc/moodle/config.d/debug.php")
    assert "strace" in run_in(app, "strace", "--version")

    with running(engine, built["test-moodle-web-debug"]["image"]) as container:

        def executed(*command):
            call = engine.exec_create(container, list(command))["Id"]
            output = engine.exec_start(call).decode()
            assert engine.exec_inspect(call)["ExitCode"] == 0, output
            return output

        status = eventually(lambda: executed("curl", "-fsS", "http://127.0.0.1:8081/status"))
        assert "Active connections" in status
        assert "master process" in executed("ps", "ax")
        assert b"[debug]" in engine.logs(container)


STAND_IN = """#!/usr/bin/env php
<?php echo 'ComponentManager with ', implode(' ', array_filter(
    ['curl', 'dom', 'mbstring', 'zip'], extension_loaded(...)));
"""


def test_componentmgr_runs_beside_composer_and_git(with_pillar, engine, run_in, tmp_path):
    (tmp_path / "componentmgr.phar").write_text(STAND_IN)
    sha256 = hashlib.sha256(STAND_IN.encode()).hexdigest()
    with served(engine, tmp_path) as address:
        source = {"source": f"{address}/componentmgr.phar", "source_hash": sha256}
        mods = ["moodle-componentmgr"]
        image = with_pillar("moodle-build", mods, {"moodle-componentmgr": source})
    assert run_in(image, "componentmgr") == "ComponentManager with curl dom mbstring zip"
    assert "Composer version 2" in run_in(image, "composer", "--version")
    assert "git version 2" in run_in(image, "git", "--version")


def test_componentmgr_that_cannot_be_had_names_the_pillar_keys(with_pillar, engine, tmp_path):
    (tmp_path / "another.phar").write_text("another")
    with served(engine, tmp_path) as address:
        for url in (f"{address}/another.phar", "http://nowhere.invalid/componentmgr.phar"):
            source = {"source": url, "source_hash": "0" * 64}
            with pytest.raises(
                CommandExecutionError, match="set pillar moodle-componentmgr:source to"
            ):
                with_pillar(
                    "moodle-build", ["moodle-componentmgr"], {"moodle-componentmgr": source}
                )

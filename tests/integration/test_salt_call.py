"""The commands as people run them: salt-call and the scripts, in processes of their own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import BASE, IMAGES
from tests.support.repository import REPOSITORY

BIN = Path(sys.executable).parent
IMAGE = f"{IMAGES}web"


@pytest.fixture
def command(host):
    """``command(*arguments)``: the salt-call command line for the host's files and pillar."""
    etc = host.states.parent / "etc"
    etc.mkdir()
    config = {
        "id": "host",
        "root_dir": str(host.cachedir.parent),
        "cachedir": str(host.cachedir),
        "file_client": "local",
        "file_roots": {"base": [str(host.states)]},
        "pillar_roots": {"base": [str(host.pillar_root)]},
    }
    (etc / "minion").write_text(json.dumps(config))
    host.catalogue(**{"test-web": {"repository": IMAGE, "base": "test-base", "mods": ["web"]}})
    host.file("web.sls", "/srv/page:\n  file.managed\n")

    def line(*arguments: str) -> list[str]:
        return [str(BIN / "salt-call"), "--config-dir", str(etc), "--local", *arguments]

    return line


def run(command: list[str], **arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, **arguments
    )


def test_a_build_prints_its_result_and_succeeds(command, engine):
    done = run(command("--out=json", "ubiq_docker.build_service", "test-web"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["local"]
    assert result["id"] == engine.inspect_image(IMAGE)["Id"]


def test_check_is_ready_where_everything_is_there(command):
    done = run(command("--out=json", "ubiq_docker.check"))
    report = json.loads(done.stdout)["local"]
    assert (done.returncode, report["ready"], report["problems"]) == (0, True, [])
    assert report["images"] == 2


def test_a_failure_is_one_text_and_a_non_zero_exit(command, host):
    host.file("web.sls", "'exit 3':\n  cmd.run: []\n")
    done = run(command("ubiq_docker.build_service", "test-web"))
    assert done.returncode != 0
    assert "test-web: 1 of 1 states failed:\n  web: exit 3 (cmd.run)" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.fixture
def under_way(command, host, engine):
    """A build in whose container a state sleeps; the image has an old tag."""
    engine.tag(BASE, IMAGE, "latest")
    process = _asleep(command("ubiq_docker.build_service", "test-web"), host, engine)
    yield process
    process.kill()
    process.communicate()


def _container(host) -> str:
    """The name of the container in which the host's first slot builds."""
    return f"salt-ubiq-{(host.cachedir / 'ubiq' / 'id').read_text()}-0"


def _asleep(command: list[str], host, engine) -> subprocess.Popen[str]:
    """Start a build, and return its process when a state sleeps in its container."""
    host.file("web.sls", "sleep 120:\n  cmd.run: []\n")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not _sleeps(engine, _container(host)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return process


def _sleeps(engine, container: str) -> bool:
    for found in engine.containers(filters={"name": container}):
        processes = engine.top(found["Id"], "-o pid,args")["Processes"] or ()
        return any(columns[-1].endswith("sleep 120") for columns in processes)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_fails_cleans_up_and_leaves_the_tag(under_way, engine, host, number):
    old = engine.inspect_image(IMAGE)["Id"]
    started = time.monotonic()
    under_way.send_signal(number)
    printed = under_way.communicate(timeout=60)[0]
    assert time.monotonic() - started < 15
    assert under_way.returncode != 0
    assert "test-web: cancelled" in printed
    assert "Traceback" not in printed
    assert engine.inspect_image(IMAGE)["Id"] == old
    assert not list((host.cachedir / "ubiq" / "slots").glob("*/pillar"))


def test_a_killed_build_leaves_the_tag_and_the_next_one_cleans_up(under_way, command, engine, host):
    old = engine.inspect_image(IMAGE)["Id"]
    under_way.kill()
    under_way.wait()
    assert engine.inspect_image(IMAGE)["Id"] == old
    host.file("web.sls", "/srv/page:\n  file.managed\n")
    done = run(command("ubiq_docker.build_service", "test-web"))
    assert done.returncode == 0, done.stderr
    assert engine.inspect_image(IMAGE)["Id"] != old
    assert not list((host.cachedir / "ubiq" / "slots").glob("*/pillar"))


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of what the guide's scripts need of the repository."""
    copy = tmp_path / "checkout"
    for name in ("_docker", "pillar", "tools", "_modules", "_states", "_runners", "src"):
        shutil.copytree(REPOSITORY / name, copy / name, symlinks=True)
    return copy


def test_the_guides_script_builds_without_any_config_of_salt(checkout, base, images, engine):
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = run(
        [
            *("_docker/service/build", "-c", f"{IMAGES}tools", "-m", "admin", "-b", BASE),
            *("-f", "salt://admin/map.jinja"),
        ],
        cwd=checkout,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert f"{IMAGES}tools: applying admin to {BASE}" in done.stderr
    labels = engine.inspect_image(f"{IMAGES}tools")["Config"]["Labels"]
    assert labels["org.salt-ubiq.mods"] == "admin"
    assert {path.name for path in checkout.iterdir()} - {".ubiq"} == {
        path.name for path in checkout.iterdir() if path.name != ".ubiq"
    }


@pytest.mark.parametrize(
    "arguments", [[], ["-c", "x"], ["-m", "x"], ["-c"], ["-z"], ["-c", "x", "-m", "y", "z"]]
)
def test_the_guides_script_refuses_wrong_flags(arguments):
    done = run([str(REPOSITORY / "_docker/service/build"), *arguments])
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_builds_and_is_recorded(command, host, engine, number):
    process = _asleep(command("ubiq_docker.build_all", "test-web"), host, engine)
    started = time.monotonic()
    process.send_signal(number)
    printed = process.communicate(timeout=60)[0]
    assert time.monotonic() - started < 15
    assert process.returncode != 0
    assert "Traceback" not in printed
    assert "cancelled; see" in printed
    assert not engine.containers(all=True, filters={"name": _container(host)})
    (record, *_) = host.call("ubiq_docker.runs", limit=1)
    assert record["summary"] == "1 up to date, 1 failed"


@pytest.mark.parametrize(("mods", "result"), [("web", True), ("nowhere", False)])
def test_an_orchestration_succeeds_where_its_run_does(command, host, mods, result):
    """Without a master's daemon."""
    host.catalogue(**{"test-web": {"repository": IMAGE, "base": "test-base", "mods": [mods]}})
    runner = {"images": {"salt.runner": [{"name": "ubiq.build_all"}, {"arg": ["test-web"]}]}}
    host.file("orch.sls", "#!json\n" + json.dumps(runner))
    call = command()
    etc = Path(call[call.index("--config-dir") + 1])
    config = json.loads((etc / "minion").read_text())
    user = pwd.getpwuid(os.getuid()).pw_name
    (etc / "master").write_text(json.dumps({**config, "user": user}))
    done = run([str(BIN / "salt-run"), "-c", str(etc), "--out=json", "state.orchestrate", "orch"])
    assert (done.returncode == 0) == result, done.stderr
    (states,) = json.loads(done.stdout)["data"].values()
    (state,) = states.values()
    assert state["result"] is result
    image = state["changes"]["return"]["images"]["test-web"]
    assert image["action"] == ("built" if result else "failed")


def test_the_same_catalogue_built_by_two_processes_at_once_ends_well(command, engine):
    processes = [
        subprocess.Popen(
            command("--out=json", "ubiq_docker.build_all", "test-web"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    ids = {json.loads(out)["local"]["test-web"]["id"] for out, _ in printed}
    assert engine.inspect_image(IMAGE)["Id"] in ids

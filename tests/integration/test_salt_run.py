"""salt-run on a host where no master has ever run, without an engine."""

from __future__ import annotations

import getpass
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SERVICES = {"web": {"repository": "example/web", "base": "debian:12", "mods": ["web"]}}
CALLED = "called:\n  salt.runner:\n    - name: ubiq.runs\n"


@pytest.fixture
def root(tmp_path) -> Path:
    """The ``root_dir`` of a master's config; there is nothing in it."""
    config = {
        "user": getpass.getuser(),
        "root_dir": str(tmp_path / "root"),
        "file_client": "local",
        "file_roots": {"base": [str(tmp_path / "states")]},
        "pillar_roots": {"base": [str(tmp_path / "pillar")]},
    }
    for path, text in {
        "etc/master": json.dumps(config),
        "pillar/top.sls": "base: {'*': [ubiq]}",
        "pillar/ubiq.sls": json.dumps({"ubiq": {"services": SERVICES}}),
        "states/orch.sls": CALLED,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path / "root"


def salt_run(root, *arguments) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "salt-run", "--config-dir", root.parent / "etc"]
    return subprocess.run(
        [*command, "--out=json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "returned"),
    [(["ubiq.graph"], "web"), (["ubiq.runs"], [])],
    ids=["graph", "runs"],
)
def test_a_function_of_the_runner_works_where_no_master_has_run(root, arguments, returned):
    done = salt_run(root, *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == returned


def test_an_orchestration_works_where_no_master_has_run(root):
    done = salt_run(root, "state.orchestrate", "orch")
    assert done.returncode == 0, done.stderr
    (states,) = json.loads(done.stdout)["data"].values()
    assert [state["changes"]["return"] for state in states.values()] == [[]]


def test_the_directory_that_salt_run_lacks_is_its_owners_alone(root):
    salt_run(root, "ubiq.runs")
    proc = root / "var" / "cache" / "salt" / "master" / "proc"
    assert stat.S_IMODE(proc.stat().st_mode) == 0o700

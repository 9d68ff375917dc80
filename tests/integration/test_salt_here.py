"""Salt on a checkout, and on another directory's states and pillar, without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A fresh clone of what belongs to the scripts."""
    copy = tmp_path_factory.mktemp("product") / "checkout"
    for name in ("_docker", "pillar", "tools", "_modules", "_states", "_runners", "src"):
        shutil.copytree(REPOSITORY / name, copy / name, symlinks=True)
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, copy)
    return copy


@pytest.fixture
def call(checkout, tmp_path):
    """``call(function, …)``: what a function returns in a working directory of one's own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [checkout / "tools" / "salt-here", "--of", ".", "call", "--out=json"]

    def call(*arguments: str):
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["local"]

    return call


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("states", "pillar"),
    [("", "_docker/service/salt/pillar"), ("_docker/service/salt/states/", "pillar")],
    ids=["as in the guide", "as in this repository"],
)
def test_states_and_pillar_are_those_of_the_working_directory(call, tmp_path, states, pillar):
    write(tmp_path / f"{states}admin/init.sls", "mine:\n  test.nop: []\n")
    write(tmp_path / f"{pillar}/top.sls", "base: {'*': [mine]}\n")
    write(tmp_path / f"{pillar}/mine.sls", "admin: {mine: true}\n")
    assert "mine" in call("state.show_sls", "admin")
    assert call("pillar.keys", "admin") == ["mine"]


def test_what_the_working_directory_lacks_comes_from_the_checkout(call, tmp_path):
    write(tmp_path / "mine/init.sls", "mine:\n  test.nop: []\n")
    write(tmp_path / "_docker/mine/Dockerfile", "FROM scratch\n")
    assert {"mine", "admin", "web-moodle"} <= set(call("cp.list_states"))
    contexts = {path.rpartition("/")[0] for path in call("cp.list_master", "prefix=_docker/")}
    assert {"_docker/mine", "_docker/debian-python"} <= contexts
    assert "timezone" in call("pillar.keys", "admin")


def test_a_pillar_without_a_catalogue_leaves_the_one_of_the_checkout(call, tmp_path):
    write(tmp_path / "pillar/top.sls", "base: {'*': [mine]}\n")
    write(tmp_path / "pillar/mine.sls", "mine: true\n")
    assert "debian-python" in call("ubiq_docker.catalogue")["bases"]


def test_nothing_is_written_into_the_working_directory(call, tmp_path):
    call("test.ping")
    assert not list(tmp_path.iterdir())


def test_without_salt_a_clone_says_what_to_make(checkout):
    done = subprocess.run(
        [checkout / "_docker/service/build", "-c", "example/x", "-m", "admin"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    target = re.search(r"'make (\S+)' in (\S+),", done.stderr)
    assert target, done.stderr
    assert Path(target[2]) == checkout
    assert (
        subprocess.run(["make", "--dry-run", target[1]], cwd=target[2], check=False).returncode == 0
    )

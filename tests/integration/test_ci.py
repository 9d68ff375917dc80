"""The commands of the CI recipes, in a checkout, with credentials from the environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BASE_DECLARATION, IMAGES, REPOSITORY
from tests.registry_server import PASSWORD, USERNAME, RegistryServer
from tests.unit.test_ci_recipes import commands

WEB, BASE = f"{IMAGES}web", f"{IMAGES}debian-python"


@pytest.fixture
def registry(tmp_path, images):
    with RegistryServer(tmp_path / "registry", password=True) as server:
        yield server


@pytest.fixture
def checkout(tmp_path, registry, base):
    """A checkout with a service of its own, and a registry that wants a login."""
    checkout = tmp_path / "checkout"
    states = checkout / "_docker" / "service" / "salt" / "states"
    shutil.copytree(REPOSITORY / "_docker", checkout / "_docker")
    (states / "web.sls").write_text("/srv/web:\n  file.managed\n")
    web = {"repository": WEB, "base": "test-base", "mods": ["web"]}
    catalogue = {
        "registry": registry.host,
        "bases": {"test-base": BASE_DECLARATION},
        "services": {"test-web": web},
    }
    (checkout / "pillar").mkdir()
    (checkout / "pillar" / "top.sls").write_text("base: {'*': [all]}\n")
    (checkout / "pillar" / "all.sls").write_text("#!json\n" + json.dumps({"ubiq": catalogue}))
    (checkout / "ci").mkdir()
    shutil.copy2(REPOSITORY / "docs" / "ci" / "salt-config", checkout / "ci")
    return checkout


def run(recipe, checkout, password, tmp_path):
    """Run what a recipe does once salt-ubiq is installed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_USERNAME": USERNAME,
        "DOCKER_PASSWORD": password,
    }
    ours = [each for each in commands(recipe) if each.startswith(("ci/", "salt-run"))]
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(ours)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize("recipe", ["github-actions.yml", "gitlab-ci.yml", "travis.yml"])
def test_a_recipe_builds_and_pushes_with_the_secrets(recipe, checkout, registry, engine, tmp_path):
    done = run(recipe, checkout, PASSWORD, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.config_id(WEB, "latest") == engine.inspect_image(WEB)["Id"]
    assert registry.digest(BASE, "12")
    assert PASSWORD not in done.stdout + done.stderr


def test_a_wrong_secret_fails_the_job_and_is_not_shown(checkout, registry, tmp_path):
    done = run("travis.yml", checkout, "battery staple", tmp_path)
    assert done.returncode == 1
    assert registry.host in done.stdout + done.stderr
    assert "battery staple" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

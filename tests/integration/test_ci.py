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


@pytest.fixture(scope="module")
def commands_of_a_ci_host(tmp_path_factory):
    """What PATH has on a host of a CI service: all of here but mmdebstrap."""
    directory = tmp_path_factory.mktemp("bin")
    for command in [*Path("/bin").iterdir(), *Path("/usr/bin").iterdir()]:
        link = directory / command.name
        if command.name != "mmdebstrap" and not link.is_symlink():
            link.symlink_to(command)
    return f"{Path(sys.executable).parent}{os.pathsep}{directory}"


@pytest.fixture
def checkout(tmp_path, registry, base):
    """A git checkout with a service of its own, and a registry that wants a login."""
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
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=Images")
    return checkout


def git(checkout, *arguments):
    """What git prints, of whatever user."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.check_output(["git", *identity, *arguments], cwd=checkout, text=True).strip()


@pytest.fixture
def run(checkout, commands_of_a_ci_host, tmp_path):
    """``run(recipe, password)``: run what a recipe does once salt-ubiq is installed."""
    environment = {
        **os.environ,
        "PATH": commands_of_a_ci_host,
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_USERNAME": USERNAME,
    }

    def run(recipe, password):
        ours = [each for each in commands(recipe) if each.startswith(("ci/", "salt-run"))]
        return _run(ours, checkout, {**environment, "DOCKER_PASSWORD": password})

    return run


def _run(commands, checkout, environment):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize("recipe", ["github-actions.yml", "gitlab-ci.yml", "travis.yml"])
def test_a_recipe_builds_and_pushes_with_the_secrets(recipe, run, checkout, registry, engine):
    done = run(recipe, PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.config_id(WEB, "latest") == engine.inspect_image(WEB)["Id"]
    assert registry.digest(BASE, "12")
    assert PASSWORD not in done.stdout + done.stderr
    labels = engine.inspect_image(WEB)["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == git(checkout, "rev-parse", "HEAD")
    assert git(checkout, "status", "--porcelain") == ""
    told = done.stderr.splitlines()
    assert "[0/1] test-web started" in told
    assert "test-web: applying web to test-base" in told
    assert any(line.startswith("[1/1] test-web built in ") for line in told)


def test_a_wrong_secret_fails_the_job_and_is_not_shown(run, registry):
    done = run("travis.yml", "battery staple")
    assert done.returncode == 1
    assert registry.host in done.stdout + done.stderr
    assert "battery staple" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

"""The commands of the CI recipes, in a checkout, with credentials from the environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BASE_DECLARATION, IMAGES
from tests.support.registry_server import PASSWORD, USERNAME, RegistryServer
from tests.support.repository import REPOSITORY
from tests.unit.test_ci_recipes import ours

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
    """``run(password)``: run what each recipe does once salt-ubiq is installed."""
    environment = {
        **os.environ,
        "PATH": commands_of_a_ci_host,
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_USERNAME": USERNAME,
    }

    def run(password):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(ours("travis.yml"))],
            cwd=checkout,
            env={**environment, "DOCKER_PASSWORD": password},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


def test_a_recipe_builds_and_pushes_with_the_secrets(run, checkout, registry, engine):
    done = run(PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.config_id(WEB, "latest") == engine.inspect_image(WEB)["Id"]
    assert registry.digest(BASE, "12")
    assert PASSWORD not in done.stdout + done.stderr
    labels = engine.inspect_image(WEB)["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == git(checkout, "rev-parse", "HEAD")
    assert git(checkout, "status", "--porcelain") == ""
    assert "[0/2] test-web started\n" in done.stderr
    assert "test-web: applying web to test-base\n" in done.stderr
    assert "/2] test-web built in " in done.stderr


def test_a_wrong_secret_fails_the_job_and_is_not_shown(run, registry):
    done = run("battery staple")
    assert done.returncode == 1
    assert registry.host in done.stdout + done.stderr
    assert "battery staple" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

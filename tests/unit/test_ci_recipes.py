"""The recipes for CI: what they say, without any CI."""

import inspect
import json
import shlex
import subprocess

import pytest
import yaml

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.runners import ubiq
from tests.support.repository import REPOSITORY

CI = REPOSITORY / "docs" / "ci"
SECRETS = ("DOCKER_USERNAME", "DOCKER_PASSWORD")


def commands(name):
    """The commands of a recipe, in order."""
    recipe = yaml.safe_load((CI / name).read_text())
    if name == "github-actions.yml":
        return [step["run"] for step in recipe["jobs"]["images"]["steps"] if "run" in step]
    if name == "gitlab-ci.yml":
        return recipe["images"]["before_script"] + recipe["images"]["script"]
    return recipe["install"] + recipe["script"]


def ours(name):
    """Those of a recipe with which a test can do what the recipe does."""
    return [each for each in commands(name) if each.startswith(("ci/", "salt-run"))]


RECIPES = ("github-actions.yml", "gitlab-ci.yml", "travis.yml")


@pytest.fixture(params=RECIPES)
def recipe(request):
    return request.param


def test_a_recipe_installs_configures_and_builds_in_that_order(recipe):
    steps = [shlex.split(command)[0] for command in commands(recipe)]
    wanted = ["pip", "ci/salt-config", "salt-run"]
    assert [step for step in steps if step in wanted] == wanted


def test_once_salt_is_installed_all_recipes_do_the_same():
    first, *others = map(ours, RECIPES)
    assert len(first) == 2
    assert all(other == first for other in others)


def test_a_recipe_orders_what_the_runner_has(recipe):
    (order,) = [each for each in commands(recipe) if each.startswith("salt-run")]
    function, *arguments = [word for word in shlex.split(order) if "ubiq." in word or "=" in word][
        1:
    ]
    assert function == "ubiq.build_all"
    accepted = inspect.signature(ubiq.build_all).parameters
    assert {argument.partition("=")[0] for argument in arguments} <= set(accepted)
    assert "push=True" in arguments


def test_a_recipe_says_which_secrets_it_needs_and_holds_none(recipe):
    text = (CI / recipe).read_text()
    assert all(secret in text for secret in SECRETS)
    assert "docker login" not in text


def test_what_a_recipe_writes_into_the_checkout_git_does_not_see(tmp_path):
    subprocess.run([CI / "salt-config"], cwd=tmp_path, check=True)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=tmp_path, text=True)
    assert (tmp_path / ".salt" / "master").is_file()
    assert status == ""


def test_builds_run_with_the_hosts_python_unless_pillar_says_otherwise(tmp_path):
    subprocess.run([CI / "salt-config"], cwd=tmp_path, check=True)
    config = yaml.safe_load((tmp_path / ".salt" / "master").read_text())
    ((source, command),) = config["ext_pillar"][0].items()
    printed = subprocess.check_output(["sh", "-c", command], text=True)
    assert (source, config["ext_pillar_first"]) == ("cmd_json", True)
    assert parse(json.loads(printed)["ubiq"]).runtime.host


def test_github_gives_the_secrets_to_the_build_alone():
    jobs = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"]
    steps = jobs["images"]["steps"]
    assert [step["env"] for step in steps if "env" in step] == [
        {secret: f"${{{{ secrets.{secret} }}}}" for secret in SECRETS}
    ]
    assert "salt-run" in steps[-1]["run"]

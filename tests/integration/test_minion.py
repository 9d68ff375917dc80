"""Builds on a real minion of a real master: files and pillar come from the master."""

from __future__ import annotations

import json
import shutil

import pytest
from saltfactories.utils import random_string

from tests.conftest import BASE, BASE_DECLARATION, IMAGES, REPOSITORY
from tests.waiting import until


@pytest.fixture(scope="module")
def master(salt_factories):
    overrides = {"interface": "127.0.0.1", "auto_accept": True}
    factory = salt_factories.salt_master_daemon(random_string("master-"), overrides=overrides)
    (factory.state_tree.base.write_path / "_docker").symlink_to(REPOSITORY / "_docker")
    with factory.started(start_timeout=120):
        yield factory


@pytest.fixture(scope="module")
def minion(master):
    factory = master.salt_minion_daemon(random_string("minion-"))
    with factory.started(start_timeout=120):
        yield factory
    shutil.rmtree(factory.config["cachedir"], ignore_errors=True)


def test_a_minion_builds_with_files_and_pillar_of_its_master(
    master, minion, base, images, engine, run_in
):
    catalogue = {
        "bases": {"test-base": BASE_DECLARATION},
        "services": {
            "test-web": {
                "repository": f"{IMAGES}web",
                "base": "test-base",
                "mods": ["web"],
                "pillar": {"web": {"colour": "blue"}},
            }
        },
    }
    pillar = {"ubiq": catalogue, "web": {"colour": "red", "shape": "round"}}
    states = master.state_tree.base
    pillars = master.pillar_tree.base
    salt = master.salt_cli()
    with (
        states.temp_file(
            "web/init.sls",
            "/srv/page:\n  file.managed:\n    - source: salt://web/page\n    - template: jinja\n",
        ),
        states.temp_file("web/page", "{{ pillar['web']['colour'] }} {{ pillar['web']['shape'] }}"),
        pillars.temp_file("top.sls", "base: {'*': [all]}\n"),
        pillars.temp_file("all.sls", f"#!json\n{json.dumps(pillar)}"),
    ):
        assert salt.run("saltutil.refresh_pillar", wait=True, minion_tgt=minion.id).data
        done = salt.run("ubiq_docker.build_service", "test-web", minion_tgt=minion.id, _timeout=180)
    assert done.returncode == 0, done
    assert done.data["action"] == "built"
    assert run_in(f"{IMAGES}web", "cat", "/srv/page") == "blue round"
    assert engine.inspect_image(BASE)["Id"] == done.data["parent"]


def test_a_job_that_is_terminated_ends_its_builds(master, minion, base, images, engine):
    catalogue = {
        "bases": {"test-base": BASE_DECLARATION},
        "services": {
            f"test-{name}": {"repository": f"{IMAGES}{name}", "base": "test-base", "mods": [mods]}
            for name, mods in (("quick", "quick"), ("slow", "slow"))
        },
    }
    salt = master.salt_cli()
    pillars, states = master.pillar_tree.base, master.state_tree.base
    with (
        states.temp_file("quick.sls", "/srv/one:\n  file.managed\n"),
        states.temp_file("slow.sls", "sleep 90:\n  cmd.run: []\n"),
        pillars.temp_file("top.sls", "base: {'*': [all]}\n"),
        pillars.temp_file("all.sls", f"#!json\n{json.dumps({'ubiq': catalogue})}"),
    ):
        assert salt.run("saltutil.refresh_pillar", wait=True, minion_tgt=minion.id).data
        done = salt.run("ubiq_docker.build_all", "test-quick", minion_tgt=minion.id, _timeout=180)
        assert done.data["test-quick"]["action"] == "built"
        salt.run("--async", "ubiq_docker.build_all", "test-slow", minion_tgt=minion.id)
        container = until(
            lambda: engine.containers(filters={"label": "org.salt-ubiq.image=test-slow"})
        )
        (job,) = salt.run("saltutil.running", minion_tgt=minion.id).data
        salt.run("saltutil.term_job", job["jid"], minion_tgt=minion.id)
        until(lambda: not salt.run("saltutil.running", minion_tgt=minion.id).data, seconds=20)
    names = [each["Id"] for each in engine.containers(all=True)]
    assert container[0]["Id"] not in names
    assert not engine.images(f"{IMAGES}slow")

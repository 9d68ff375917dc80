"""Builds on a real minion of a real master: files and pillar come from the master."""

from __future__ import annotations

from tests.conftest import BASE, IMAGES
from tests.integration.daemons.conftest import service
from tests.support.waiting import until


def test_a_minion_builds_with_files_and_pillar_of_its_master(daemons, engine, run_in):
    daemons.state(
        "page/init.sls",
        "/srv/page:\n  file.managed:\n    - source: salt://page/page\n    - template: jinja\n",
    )
    daemons.state("page/page", "{{ pillar['page']['colour'] }} {{ pillar['page']['shape'] }}")
    daemons.pillar(
        more={"page": {"colour": "red", "shape": "round"}},
        **{"test-page": {**service("page"), "pillar": {"page": {"colour": "blue"}}}},
    )
    built = daemons.call("ubiq_docker.build_service", "test-page")
    assert built["action"] == "built"
    assert run_in(f"{IMAGES}page", "cat", "/srv/page") == "blue round"
    assert engine.inspect_image(BASE)["Id"] == built["parent"]


def test_a_job_that_is_terminated_ends_its_builds(daemons, engine):
    daemons.state("quick.sls", "/srv/one:\n  file.managed\n")
    daemons.state("slow.sls", "sleep 90:\n  cmd.run: []\n")
    daemons.pillar(**{"test-quick": service("quick"), "test-slow": service("slow")})
    done = daemons.call("ubiq_docker.build_all", "test-quick")
    assert done["test-quick"]["action"] == "built"
    daemons.begin("ubiq_docker.build_all", "test-slow")
    container = until(lambda: engine.containers(filters={"label": "org.salt-ubiq.image=test-slow"}))
    (job,) = daemons.call("saltutil.running")
    daemons.call("saltutil.term_job", job["jid"])
    until(lambda: not daemons.call("saltutil.running"))
    until(lambda: container[0]["Id"] not in [each["Id"] for each in engine.containers(all=True)])
    assert not engine.images(f"{IMAGES}slow")

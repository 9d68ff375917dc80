"""An image is proven before its tags move; what fails can be looked into."""

from __future__ import annotations

from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from salt_ubiq.engine.client import Engine
from tests.conftest import BASE, IMAGES

WEB = f"{IMAGES}web"
FAILED = f"{WEB}:failed"
VERIFY = "ubiq:services:test-web:verify"
CONVERGED = "ubiq:services:test-web:converged: a second time, this changes something again"


def declare(host, name="web", **service):
    plain = {"repository": WEB, "base": "test-base", "mods": ["web"], "converged": False}
    plain["config"] = {"cmd": ["cat", "/srv/page"], "labels": {"team": "web"}}
    host.catalogue(**{"test-web": {**plain, **service}})


def failure(host):
    with pytest.raises(CommandExecutionError) as raised:
        host.call("ubiq_docker.build_service", "test-web")
    return str(raised.value)


@pytest.fixture
def web(host, engine, image_of):
    """A host with a service, and an image that bears its name."""
    host.file("web.sls", "/srv/page:\n  file.managed:\n    - contents: new\n")
    image_of(f"FROM {BASE}\nRUN echo old > /srv/page\n", "web")
    return host, engine.inspect_image(WEB)


def test_an_image_that_fails_a_check_gets_no_tag(web, engine):
    host, old = web
    declare(host, verify=[{"cmd": "test -e /srv/page"}, {"file": "/srv/new"}], tags=["1", "latest"])
    result = host.call("ubiq_docker.build_all", "test-web")["test-web"]
    assert result["action"] == "failed"
    assert f"{VERIFY}:1: there is no /srv/new" in result["error"]
    assert f"{VERIFY}:0" not in result["error"]
    assert "kept as" not in result["error"]
    assert engine.inspect_image(f"{WEB}:latest")["Id"] == old["Id"]
    assert not engine.images(f"{WEB}:1")
    assert not engine.images(FAILED)
    log = Path(result["log"]).read_text()
    assert f"{VERIFY}:0: passed" in log
    assert f"{VERIFY}:1: there is no /srv/new" in log


def test_what_fails_a_check_can_be_kept_and_goes_with_the_next_success(web, engine, run_in):
    host, old = web
    declare(host, verify=[{"cmd": "exit 3"}], keep_failed=True)
    message = failure(host)
    assert f"\nkept as: {FAILED}\nlog: " in message
    config = engine.inspect_image(FAILED)["Config"]
    assert config["Labels"]["org.salt-ubiq.log"] == message.rpartition("\nlog: ")[2]
    assert config["Labels"]["org.salt-ubiq.image"] == "test-web"
    assert config["Cmd"] == ["cat", "/srv/page"]
    assert run_in(FAILED, "cat", "/srv/page") == "new"
    assert engine.inspect_image(WEB)["Id"] == old["Id"]

    declare(host, verify=[{"cmd": "true"}], keep_failed=True)
    built = host.call("ubiq_docker.build_service", "test-web")
    assert built["action"] == "built"
    assert not engine.images(FAILED)


def test_the_label_of_what_is_kept_has_any_path_as_it_is(base, engine, images):
    path = 'of $HOME, "é" and \\ '
    Engine().images.label(base, FAILED, {"org.salt-ubiq.log": path})
    assert engine.inspect_image(FAILED)["Config"]["Labels"]["org.salt-ubiq.log"] == path


FAILING = """
    /srv/page:
      file.managed:
        - contents: half
    'echo out of luck >&2; exit 3':
      cmd.run:
        - require:
          - file: /srv/page
    /srv/never:
      file.managed:
        - require:
          - cmd: 'echo out of luck >&2; exit 3'
    """


def test_a_container_in_which_a_state_fails_can_be_kept(web, engine, run_in):
    host, old = web
    host.file("web.sls", FAILING)
    declare(host, keep_failed=True)
    message = failure(host)
    assert "out of luck" in message
    assert f"\nkept as: {FAILED}\nlog: " in message
    config = engine.inspect_image(FAILED)["Config"]
    assert config["Labels"]["org.salt-ubiq.log"] == message.rpartition("\nlog: ")[2]
    assert config["Labels"]["team"] == "web"
    assert (config["Cmd"], config["Entrypoint"]) == (["cat", "/srv/page"], None)
    assert run_in(FAILED, "ls", "/srv") == "page"
    assert engine.inspect_image(WEB)["Id"] == old["Id"]


@pytest.mark.parametrize("entrypoint", ['["/bin/echo", "entry"]', "[]"])
def test_what_is_kept_has_the_parents_config_and_not_the_build_containers(
    host, engine, image_of, entrypoint
):
    parent = image_of(
        f"FROM {BASE}\nHEALTHCHECK CMD true\nENTRYPOINT {entrypoint}\nCMD []\n", "parent"
    )
    host.file("web.sls", FAILING)
    declare(host, base=parent, keep_failed=True, config={})
    assert f"kept as: {FAILED}" in failure(host)
    kept, parents = (engine.inspect_image(name)["Config"] for name in (FAILED, parent))
    for key in ("Entrypoint", "Cmd", "Healthcheck", "Env", "Volumes"):
        assert (kept[key] or None) == (parents[key] or None), key


def test_what_fails_in_a_shared_layer_is_kept_too(host, engine, run_in):
    host.file("begin.sls", FAILING)
    host.file("web.sls", "/srv/web:\n  file.managed\n")
    service = {"repository": WEB, "base": "test-base", "mods": ["begin", "web"]}
    other = {**service, "repository": f"{IMAGES}other", "mods": ["begin"]}
    host.catalogue(**{"test-web": {**service, "keep_failed": True}, "test-other": other})
    message = failure(host)
    assert "out of luck" in message
    assert f"kept as: {FAILED}" in message
    assert run_in(FAILED, "ls", "/srv") == "page"
    assert "sleep" not in str(engine.inspect_image(FAILED)["Config"])


# What changes something each time; two states that take turns with a file, and one that says the
# same of itself each time; and what, done again, would fail, as what it needs is gone.
UNCONVERGED = """
    'date > /srv/date':
      cmd.run: []
    /srv/page:
      file.managed:
        - contents: one
    the same page:
      file.managed:
        - name: /srv/page
        - contents: two
    /srv/fine:
      file.managed: []
    /srv/draft:
      file.managed: []
    /srv/copy:
      file.copy:
        - source: /srv/draft
        - force: true
    not the draft:
      file.absent:
        - name: /srv/draft
    """
NAMED = {
    "web: cmd.run date > /srv/date",
    "web: file.managed /srv/page",
    "web: file.managed /srv/draft",
    "web: file.copy /srv/copy",
}


def test_states_that_have_not_converged_are_warned_of(host):
    host.file("web.sls", UNCONVERGED)
    declare(host, converged="warn")
    built = host.call("ubiq_docker.build_service", "test-web")
    assert built["action"] == "built"
    assert {warning.removeprefix(f"{CONVERGED}: ") for warning in built["warnings"]} == NAMED
    log = Path(built["log"]).read_text()
    assert all(warning in log for warning in built["warnings"])


def test_states_that_have_not_converged_can_fail_the_build(web, engine):
    host, old = web
    host.file("web.sls", UNCONVERGED)
    declare(host, converged=True, keep_failed=True)
    message = failure(host)
    assert f"{CONVERGED}: web: file.managed /srv/page" in message
    assert f"kept as: {FAILED}" in message
    assert engine.inspect_image(WEB)["Id"] == old["Id"]


def test_converged_states_are_warned_of_nothing(host):
    host.file("web.sls", "/srv/page:\n  file.managed:\n    - contents: one\n")
    declare(host, converged=True)
    built = host.call("ubiq_docker.build_service", "test-web")
    assert (built["action"], built["warnings"]) == ("built", [])


def test_an_image_on_the_engine_can_be_verified(web):
    host, _ = web
    host.file("web.sls", "/srv/page:\n  file.managed:\n    - contents: old\n")
    declare(host, verify=[{"cmd": "grep old /srv/page"}], converged=True)
    modules = host.modules
    answer = modules["ubiq_docker.verify"]("test-web")
    assert modules.pack["__context__"]["retcode"] == 0
    assert answer == {
        "name": "test-web",
        "image": f"{WEB}:latest",
        "verified": True,
        "failures": [],
        "warnings": [],
    }

    declare(host, verify=[{"cmd": "grep new /srv/page"}], converged="warn")
    host.file("web.sls", "/srv/page:\n  file.managed:\n    - contents: new\n")
    modules = host.modules
    answer = modules["ubiq_docker.verify"]("test-web")
    assert modules.pack["__context__"]["retcode"] == 1
    assert answer["failures"] == [f"{VERIFY}:0: grep new /srv/page: exit status 1"]
    assert answer["warnings"] == [f"{CONVERGED}: web: file.managed /srv/page"]
    assert not answer["verified"]


def test_what_is_not_there_cannot_be_verified(host):
    declare(host)
    with pytest.raises(CommandExecutionError, match=f"there is no {WEB}:latest: build it first"):
        host.call("ubiq_docker.verify", "test-web")

"""What a mistake gets: one clear text, the old image still tagged, nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import EngineError
from tests.conftest import BASE, IMAGES

IMAGE = f"{IMAGES}web"


@pytest.fixture
def web(host, engine):
    """A service with an old image; after the test that image still has its tag."""
    engine.tag(BASE, IMAGE, "latest")
    old = engine.inspect_image(IMAGE)["Id"]
    host.catalogue(
        **{
            "test-web": {"repository": IMAGE, "base": "test-base", "mods": ["web"]},
            "test-worker": {"repository": f"{IMAGES}worker", "base": "test-web", "mods": ["web"]},
        }
    )
    host.file("web/init.sls", "/srv/page:\n  file.managed\n")
    yield host
    assert engine.inspect_image(IMAGE)["Id"] == old


@pytest.fixture
def plain(web):
    """The same, built with each image's own Python."""
    web.catalogue(
        runtime=False,
        **{"test-web": {"repository": IMAGE, "base": "test-base", "mods": ["web"]}},
    )
    return web


def failure_of(host, *args, **kwargs) -> str:
    with pytest.raises(CommandExecutionError) as failure:
        host.call("ubiq_docker.build_service", *args, **kwargs)
    message = str(failure.value)
    assert "Traceback" not in message
    return message


def test_no_engine(web):
    web.opts["docker.url"] = "unix:///nowhere/docker.sock"
    message = failure_of(web, "test-web")
    assert "no Docker engine answers at unix:///nowhere/docker.sock: start it" in message
    report = web.call("ubiq_docker.check")
    assert not report["ready"]
    assert [problem for problem in report["problems"] if "no Docker engine answers" in problem]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_no_permission_for_the_socket(web):
    def connect(queue):
        os.setgroups([])
        os.setuid(65534)
        try:
            Engine()
        except EngineError as exc:
            queue.put(str(exc))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=connect, args=(queue,))
    process.start()
    message = queue.get(timeout=30)
    process.join(timeout=30)
    assert "no permission to use the Docker engine" in message
    assert "add this user to the group docker" in message


def test_an_unknown_image_name_gets_its_near_matches(web):
    assert "no image 'test-wbe' in the catalogue (did you mean 'test-web'" in failure_of(
        web, "test-wbe"
    )


def test_unknown_mods_get_their_place_and_near_matches(web):
    web.file("wab.sls", "{}\n")
    message = failure_of(web, "test-web", mods=["webb", "xyz"])
    assert "ubiq:services:test-web:mods: no SLS 'webb' in saltenv base (did you mean 'web'" in (
        message
    )
    assert "no SLS 'xyz' in saltenv base" in message


def test_a_failing_state_is_told_by_id_sls_and_comment(web):
    web.file(
        "web/init.sls",
        "broken page:\n  cmd.run:\n    - name: echo no luck with hunter22 >&2; exit 3\n"
        "after it:\n  test.nop:\n    - require:\n      - cmd: broken page\n",
    )
    message = failure_of(web, "test-web", pillar={"db": {"password": "hunter22"}})
    assert "test-web: 2 of 2 states failed:" in message
    assert "web: broken page (cmd.run): " in message
    assert "no luck with ******" in message
    assert "and 1 that require them" in message
    log = Path(message.rpartition("log: ")[2]).read_text()
    assert "broken page (cmd.run)" in log
    assert "hunter22" not in message + log


def test_an_sls_that_does_not_render_is_told_with_file_and_line(web):
    web.file("web/init.sls", "fine:\n  test.nop: []\n{{ nothing.at.all }}\n")
    message = failure_of(web, "test-web")
    assert "Rendering SLS 'base:web' failed: Jinja variable 'nothing' is undefined" in message
    assert "line 3" in message or "{{ nothing.at.all }}    <====" in message


def test_pillar_that_does_not_render(web):
    web.pillar({"ubiq": {}})
    (web.pillar_root / "all.sls").write_text("a: {{ nothing.at.all }}\n")
    assert "pillar does not render:" in failure_of(web, f"{IMAGES}x", base=BASE, mods="web")


def test_a_base_that_does_not_exist(web):
    message = failure_of(web, "test-web", base="registry.invalid/none:1")
    assert "ubiq:services:test-web:base: registry.invalid/none:1 is not on the engine" in message
    assert "can't pull registry.invalid/none:1" in message


def test_without_the_runtime_a_base_needs_python(plain, image_of):
    base = image_of(f"FROM {BASE}\nRUN rm /usr/bin/python3*\n", "no-python")
    message = failure_of(plain, "test-web", base=base)
    assert f"ubiq:services:test-web:base: {base} has no Python that runs" in message
    assert "take a newer base, or let Salt run with its own Python (ubiq:runtime)" in message


def test_without_the_runtime_a_base_needs_a_python_that_is_new_enough(plain, image_of):
    base = image_of(
        f"FROM {BASE}\nRUN rm /usr/bin/python3* && printf '#!/bin/sh\\necho 3.6.15\\n'"
        " > /usr/bin/python3 && chmod +x /usr/bin/python3\n",
        "old-python",
    )
    message = failure_of(plain, "test-web", base=base)
    assert f"{base} has Python 3.6.15, and this host's Salt needs >=" in message


def test_a_catalogue_with_ten_mistakes_gets_ten_messages(web):
    web.pillar(
        {
            "ubiq": {
                "default": {},
                "bases": {
                    "one": {"repository": "x/One", "dockerfile": "salt://one"},
                    "two": {"repository": "x/two", "dockerfile": "two"},
                    "three": {"repository": "x/three", "tags": [12.1], "dockerfile": "/three"},
                },
                "services": {
                    "four": {"repository": "x/four", "base": "noe", "mods": ["a"]},
                    "five": {"repository": "x/five", "base": "one"},
                    "six": {"repository": "x/six", "base": "seven", "mods": ["a"]},
                    "seven": {"repository": "x/seven", "base": "six", "mods": ["a"]},
                    "eight": {"repository": "x/two", "base": "one", "mods": ["a"]},
                    "nine": {"repository": "x/nine", "base": "one", "mods": ["a"], "cmd": "x"},
                    "ten": {
                        "repository": "x/ten",
                        "base": "one",
                        "mods": ["a"],
                        "config": {"exposed_ports": ["http"]},
                    },
                },
            }
        }
    )
    with pytest.raises(CommandExecutionError) as failure:
        web.call("ubiq_docker.catalogue")
    title, *lines = str(failure.value).splitlines()
    assert title == "the catalogue has 10 mistakes:"
    places = [line.split(": ")[0].strip() for line in lines]
    assert sorted(places) == [
        "ubiq:bases:one:repository",
        "ubiq:bases:three:tags:0",
        "ubiq:bases:two:dockerfile",
        "ubiq:default",
        "ubiq:services:eight",
        "ubiq:services:five:mods",
        "ubiq:services:four:base",
        "ubiq:services:nine:cmd",
        "ubiq:services:six:base",
        "ubiq:services:ten:config:exposed_ports:0",
    ]


def test_a_repository_that_docker_refuses(web):
    message = failure_of(web, "Web/Server", base=BASE, mods="web")
    assert "repository: Docker refuses 'Web/Server'" in message


def test_a_build_that_takes_too_long(web):
    web.file("web/init.sls", "sleep 60:\n  cmd.run: []\n")
    started = time.monotonic()
    assert "test-web: not done after 12 s" in failure_of(web, "test-web", timeout=12)
    assert time.monotonic() - started < 40


def test_a_build_argument_that_the_build_sets_itself(web):
    assert "build: entrypoint: set by the build itself" in failure_of(
        web, "test-web", entrypoint="sh"
    )


def test_a_parent_that_fails_leaves_the_service_alone(web, engine):
    engine.remove_image(IMAGE)
    web.file("web/init.sls", "'false':\n  cmd.run: []\n")
    assert "test-web: 1 of 1 states failed" in failure_of(web, "test-worker")
    assert not engine.images(f"{IMAGES}worker")
    engine.tag(BASE, IMAGE, "latest")

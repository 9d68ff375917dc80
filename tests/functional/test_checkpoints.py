"""After an edit a build goes on from what comes before it, and the image is the same."""

from __future__ import annotations

import docker
import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import IMAGES
from tests.functional.test_shared_layers import contents

IMAGE = f"{IMAGES}edited:latest"
# A state that takes long, one that reads pillar, a file, and one that reacts to that.
STATES = """
    install:
      cmd.run:
        - name: sleep 3.5; mkdir -p /srv/site; touch /srv/installed
        - creates: /srv/installed
    /srv/site/conf:
      file.managed:
        - source: salt://conf
        - template: jinja
    /srv/site/page:
      file.managed:
        - source: salt://page
        - mode: '0640'
    'cp /srv/site/page /srv/site/copy':
      cmd.run:
        - onchanges:
          - file: /srv/site/page
    """


def checkpoints(engine: docker.APIClient):
    found = engine.images(name="salt-ubiq.local/checkpoint")
    return [each["Labels"]["org.salt-ubiq.image"] for each in found]


def site(host, **more):
    host.file("site.sls", STATES)
    host.file("conf", "word={{ pillar.get('word') }}\n")
    host.file("page", "one\n")
    declared = {
        "repository": f"{IMAGES}edited",
        "base": "test-base",
        "mods": ["site"],
        "converged": False,
    }
    host.catalogue(**{"test-edited": {**declared, "pillar": {"word": "a"}, **more}})


def build(host, **how):
    result = host.call("ubiq_docker.build_service", "test-edited", **how)
    assert result["action"] == "built"
    return result


def start(host):
    (step,) = [each for each in host.call("ubiq_docker.plan") if each["name"] == "test-edited"]
    return step["from"]


def test_an_edit_runs_what_comes_after_it_and_the_image_is_as_from_nothing(host, engine, run_in):
    site(host)
    build(host)
    assert checkpoints(engine) == []

    host.file("page", "two\n")
    build(host)
    assert checkpoints(engine) == ["test-edited: its first 2 states"]

    host.file("page", "three\n")
    assert start(host) == "state 3 of 4: site: file.managed /srv/site/page"
    result = build(host)
    assert result["states"]["changed"] == 2
    assert run_in(IMAGE, "cat", "/srv/site/copy") == "three"
    edited = contents(engine, IMAGE)

    # What the states before read while they run counts, too.
    site(host, pillar={"word": "b"})
    host.file("page", "three\n")
    assert (
        start(host)
        == "state 1 of 4: site: cmd.run sleep 3.5; mkdir -p /srv/site; touch /srv/installed"
    )
    build(host)
    assert run_in(IMAGE, "cat", "/srv/site/conf") == "word=b"
    assert sorted(checkpoints(engine)) == [
        "test-edited: its first 1 states",
        "test-edited: its first 2 states",
    ]

    site(host)
    host.file("page", "three\n")
    result = build(host, force=True)
    assert result["states"]["changed"] == 4
    assert contents(engine, IMAGE) == edited

    host.file("page", "four\n")
    assert build(host, checkpoints=False)["states"]["changed"] == 4


def test_after_a_failure_the_second_try_goes_on_before_what_failed(host, engine):
    site(host)
    host.file("page", "{{ pillar['none'] }}\n")
    host.file("site.sls", STATES.replace("mode: '0640'", "template: jinja"))
    with pytest.raises(CommandExecutionError, match="none"):
        build(host)
    site(host)
    build(host)
    assert checkpoints(engine) == ["test-edited: its first 2 states"]

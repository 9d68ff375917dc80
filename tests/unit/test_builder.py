"""What can be said of building without an engine."""

import multiprocessing
from typing import ClassVar

import pytest

from salt_ubiq.builder import Builder
from salt_ubiq.catalogue import parse
from salt_ubiq.errors import EngineError, NotVerified
from salt_ubiq.workspace import Workspace


class EngineThatTriesAnotherWorkspace:
    """Asked for an image, that is in the middle of a build, it sees whether others can start."""

    proxies: ClassVar[dict[str, str]] = {}

    def __init__(self, cachedir):
        self._cachedir = str(cachedir)
        self.started = None

    def image(self, _):
        process = multiprocessing.get_context("spawn").Process(
            target=Workspace, args=(self._cachedir,)
        )
        process.start()
        process.join(3)
        self.started = process.exitcode == 0
        process.kill()
        process.join()
        raise EngineError("that is all")

    def remove_container(self, _):
        return False

    def remove_image(self, _):
        pass

    def references(self, _):
        return []


@pytest.mark.parametrize("name", ["web", "id"])
def test_building_an_image_keeps_no_other_builder_from_starting(tmp_path, name):
    declared = {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"]}
    images = parse({"services": {name: declared}})
    engine = EngineThatTriesAnotherWorkspace(tmp_path)
    builder = Builder(engine, images, {"cachedir": str(tmp_path)}, {})
    with pytest.raises(EngineError, match="that is all"):
        builder.build(images[name])
    assert engine.started


def test_what_fails_in_a_run_is_a_result_that_says_what_is_kept(tmp_path, monkeypatch):
    declared = {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"]}
    images = parse({"services": {"web": declared}})
    builder = Builder(None, images, {"cachedir": str(tmp_path)}, {})
    failure = NotVerified("web", ["there is no /srv/new"])
    failure.kept, failure.log = "ubiquitous/web:failed", "/var/log/web.log"
    told = str(failure)

    def build(*_):
        raise failure

    monkeypatch.setattr(builder, "build", build)
    result = builder.attempt(images["web"])
    assert (result.action, result.log) == ("failed", "/var/log/web.log")
    assert "there is no /srv/new" in result.error
    assert result.error.endswith("\nkept as: ubiquitous/web:failed")
    assert told == f"{result.error}\nlog: /var/log/web.log"

"""What can be said of building without an engine."""

import multiprocessing
from types import SimpleNamespace
from typing import ClassVar

import pytest

from salt_ubiq.builds.builder import Builder, BuildRequest
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.containers.session import BuildSessions
from salt_ubiq.containers.thin import Thin
from salt_ubiq.errors import EngineError, NotVerified
from salt_ubiq.workspace.slots import Workspace


class EngineThatTriesAnotherWorkspace:
    """Asked for an image, that is in the middle of a build, it sees whether others can start."""

    proxies: ClassVar[dict[str, str]] = {}

    def __init__(self, cachedir):
        self._cachedir = str(cachedir)
        self.started = None
        self.images = self
        self.containers = SimpleNamespace(remove=lambda _: False)

    def find(self, _):
        process = multiprocessing.get_context("spawn").Process(
            target=Workspace, args=(self._cachedir,)
        )
        process.start()
        process.join(3)
        self.started = process.exitcode == 0
        process.kill()
        process.join()
        raise EngineError("that is all")

    def remove(self, _):
        pass

    def references(self, _):
        return []


def builder_of(images, cachedir, engine=None):
    workspace, opts = Workspace(str(cachedir)), {"cachedir": str(cachedir)}
    sessions = BuildSessions(engine, workspace, Thin(workspace, opts), opts, {}, images)
    return Builder(engine, workspace, images, sessions, None, None)


@pytest.mark.parametrize("name", ["web", "id"])
def test_building_an_image_keeps_no_other_builder_from_starting(tmp_path, name):
    declared = {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"]}
    images = parse({"services": {name: declared}})
    engine = EngineThatTriesAnotherWorkspace(tmp_path)
    builder = builder_of(images, tmp_path, engine)
    with pytest.raises(EngineError, match="that is all"):
        builder.build(BuildRequest(images[name], "run"))
    assert engine.started


def test_what_fails_in_a_run_is_a_result_that_says_what_is_kept(tmp_path, monkeypatch):
    declared = {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"]}
    images = parse({"services": {"web": declared}})
    builder = builder_of(images, tmp_path)
    failure = NotVerified("web", ["there is no /srv/new"])
    failure.kept, failure.log = "ubiquitous/web:failed", "/var/log/web.log"
    told = str(failure)

    def build(*_):
        raise failure

    monkeypatch.setattr(builder, "build", build)
    result = builder.attempt(BuildRequest(images["web"], "run"))
    assert (result.action, result.log) == ("failed", "/var/log/web.log")
    assert "there is no /srv/new" in result.error
    assert result.error.endswith("\nkept as: ubiquitous/web:failed")
    assert told == f"{result.error}\nlog: /var/log/web.log"

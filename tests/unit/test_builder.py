"""What can be said of building without an engine."""

import multiprocessing

import pytest

from salt_ubiq.builder import Builder
from salt_ubiq.catalogue import parse
from salt_ubiq.errors import EngineError
from salt_ubiq.workspace import Workspace


class EngineThatTriesAnotherWorkspace:
    """Asked for an image, that is in the middle of a build, it sees whether others can start."""

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

"""What has been pulled, on engines that tell it and on others."""

import dataclasses

import pytest

from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.registry.pulls import Pulls
from salt_ubiq.workspace.slots import Workspace

A, B = (f"sha256:{letter * 64}" for letter in "ab")
DEBIAN = ImageInfo(A, {}, 1, digests=(f"debian@{B}",))


class Engine:
    """``has_digests_for_all`` as with containerd's image store."""

    def __init__(self, has_digests_for_all):
        self.images = self
        self.has_digests_for_all = has_digests_for_all

    def pull(self, _reference):
        return DEBIAN


@pytest.fixture
def pulls(tmp_path):
    return lambda has_digests_for_all: Pulls(Engine(has_digests_for_all), Workspace(str(tmp_path)))


def test_where_only_pulled_images_have_digests_they_tell(pulls):
    assert pulls(False).digests("debian:12", DEBIAN) == {B}


def test_elsewhere_an_image_that_nobody_pulled_is_of_no_registry(pulls):
    assert pulls(True).digests("debian:12", DEBIAN) == frozenset()


def test_elsewhere_what_was_pulled_is_remembered_for_that_image(pulls):
    pulls(True).pull("debian:12")
    assert pulls(True).digests("debian:12", DEBIAN) == {B}
    another = dataclasses.replace(DEBIAN, id=B)
    assert pulls(True).digests("debian:12", another) == frozenset()


def test_a_record_that_can_not_be_read_is_none(pulls, tmp_path):
    pulls(True).pull("debian:12")
    for path in tmp_path.rglob("debian*.json"):
        path.write_text("[")
    assert pulls(True).digests("debian:12", DEBIAN) == frozenset()

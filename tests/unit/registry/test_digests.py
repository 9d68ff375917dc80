"""Under which digests registries know the images of a host."""

from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.registry.digests import Digests

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def image(image_id, *digests):
    return ImageInfo(image_id, {}, 1, digests=digests)


def test_digests_are_those_of_the_engine_and_those_of_earlier(workspace):
    Digests(workspace).add(A, B)
    Digests(workspace).add(A, B, C)
    known = Digests(workspace)
    assert known.of(image(A)) == {B, C}
    assert known.of(image(A, f"localhost:5000/web@{A}")) == {A, B, C}
    assert known.of(image(B)) == set()


def test_digests_of_images_that_are_gone_are_forgotten(workspace):
    known = Digests(workspace)
    known.add(A, C)
    known.add(B, C)
    known.keep({B})
    assert (known.of(image(A)), known.of(image(B))) == (set(), {C})

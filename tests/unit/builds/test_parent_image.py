"""What is to be said of a service's parent."""

from types import SimpleNamespace

import pytest

from salt_ubiq.builds.parent_image import room, warnings
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import BuildError

DECLARED = {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"]}
WEB = parse({"services": {"web": DECLARED}})["web"]
ENGINE = SimpleNamespace(most_layers=125)


def parent(layers=1, **config):
    return ImageInfo("sha256:1", config, 1, layers=layers)


def test_there_is_room_for_an_image_on_all_but_the_highest_parents():
    assert room(WEB, parent(3), ENGINE) == 122
    assert room(WEB, parent(124), ENGINE) == 1
    with pytest.raises(BuildError, match=r"^ubiq:services:web:base: debian:12 has 125 layers, "):
        room(WEB, parent(125), ENGINE)


def test_of_onbuild_there_is_a_warning_without_secrets():
    assert warnings(WEB, parent(OnBuild=[]), str) == ()
    (warning,) = warnings(
        WEB, parent(OnBuild=["RUN hunter2", "COPY . /"]), lambda text: text.replace("hunter2", "*")
    )
    assert "web: debian:12 has ONBUILD" in warning
    assert "RUN *; COPY . /" in warning

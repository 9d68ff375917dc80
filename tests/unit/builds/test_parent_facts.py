"""What is known of parents is asked for once, and forgotten with them."""

from __future__ import annotations

import pytest

from salt_ubiq.builds.parent_facts import Facts, ParentFacts
from salt_ubiq.builds.residue import Residue
from salt_ubiq.errors import BuildError
from salt_ubiq.workspace.slots import Workspace

FACTS = Facts({"os": "Debian", "cpus": 2}, Residue(("/var/cache/apt/x",), ()))
ONE, OTHER = "sha256:01", "sha256:02"


@pytest.fixture
def parents(tmp_path):
    return ParentFacts(Workspace(str(tmp_path)))


def asked(parents, image_id, salt="3008"):
    """Whether the facts of an image are asked for."""
    asked = []
    assert parents.facts(image_id, salt, lambda: asked.append(1) or FACTS) == FACTS
    return bool(asked)


def test_facts_are_asked_for_once(parents):
    assert asked(parents, ONE)
    assert not asked(parents, ONE)


def test_another_image_and_another_salt_are_asked_anew(parents):
    assert asked(parents, ONE)
    assert asked(parents, OTHER)
    assert asked(parents, ONE, salt="3007")


def test_what_can_not_be_asked_for_is_not_known_later(parents):
    def fail():
        raise BuildError("no")

    with pytest.raises(BuildError):
        parents.facts(ONE, "3008", fail)
    assert asked(parents, ONE)


def test_only_images_that_are_gone_are_forgotten(parents):
    for image_id in (ONE, OTHER):
        asked(parents, image_id)
    parents.keep({ONE})
    assert not asked(parents, ONE)
    assert asked(parents, OTHER)

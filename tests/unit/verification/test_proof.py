"""What a new image has to be, and what it should be."""

from __future__ import annotations

import pytest

from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.redact import Redactor
from salt_ubiq.verification.proof import Proof, prove
from salt_ubiq.workspace.slots import Workspace

INFO = ImageInfo("sha256:1", {}, 1)
CONVERGED = "ubiq:services:web:converged: a second time, this changes something again"


class Build:
    """Of a service two states of which are not in place the second time."""

    def __init__(self, *changed):
        self._changed = changed
        self.asked = 0

    def unconverged(self, image):
        assert image is INFO
        self.asked += 1
        return self._changed


@pytest.fixture
def proven(tmp_path):
    """``proven(image, build)``: the proof of an image without checks."""

    def run(image, build):
        with Workspace(str(tmp_path)).slot() as slot:
            session = BuildSession(
                engine=None, workspace=None, slot=slot, opts={}, clean=Redactor(),
                log_path="", log_line=print,
            )  # fmt: skip
            return prove(image, INFO, session, None, build.unconverged if build else None)

    return run


def service(converged):
    declared = {"repository": "u/web", "base": "debian", "mods": ["web"], "converged": converged}
    return Service(name="web", path="ubiq:services:web", **declared)


def test_states_that_change_something_again_are_warned_of_or_fail(proven):
    said = (f"{CONVERGED}: web: cmd.run one", f"{CONVERGED}: web: cmd.run two")
    states = ("web: cmd.run one", "web: cmd.run two")
    assert proven(service("warn"), Build(*states)) == Proof((), said)
    assert proven(service(True), Build(*states)) == Proof(said)


@pytest.mark.parametrize("converged", ["warn", True])
def test_states_that_have_converged_are_said_nothing_of(proven, converged):
    assert proven(service(converged), Build()) == Proof(())


def test_states_may_be_left_alone(proven):
    build = Build("web: cmd.run one")
    assert proven(service(False), build) == Proof(())
    assert build.asked == 0


def test_a_base_has_no_states(proven):
    base = Base(name="debian", path="ubiq:bases:debian", repository="u/debian", dockerfile="/srv")
    assert proven(base, None) == Proof(())

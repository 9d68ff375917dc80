"""From what is asked for to what is to be built."""

import pytest

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.runs import plan
from salt_ubiq.runs.plan import Request
from tests.unit.catalogue.declared import DEBIAN, WEB, three


@pytest.fixture
def images():
    return three()


def planned(images, names=(), stale=(), force=False):
    """The plan where the images in ``stale`` have a reason of their own."""
    request = Request(tuple(names), force=force)
    steps = plan.steps(
        images,
        request,
        lambda image: ["no image"] if image.name in stale else [],
        plan.forced(images, request),
    )
    return {step.image.name: step.reasons for step in steps}


def test_what_is_up_to_date_is_in_the_plan_without_reasons(images):
    assert planned(images) == {"debian": (), "web": (), "moodle": ()}


def test_what_is_built_from_a_stale_image_is_built_too(images):
    assert planned(images, stale=["web"]) == {
        "debian": (),
        "web": ("no image",),
        "moodle": ("parent web is built",),
    }


def test_a_stale_parent_is_built_though_only_its_child_is_asked_for(images):
    assert planned(images, ["web"], stale=["debian"]) == {
        "debian": ("no image",),
        "web": ("parent debian is built",),
    }


def test_an_image_whose_parent_is_built_is_not_looked_at():
    """Its recipe needs the parent's grains: there may be no parent yet."""
    images = parse({"bases": {"debian": DEBIAN}, "services": {"web": WEB}})
    seen = []
    plan.steps(images, Request(), lambda image: seen.append(image.name) or ["no image"])
    assert seen == ["debian"]


def test_force_builds_what_is_asked_for_and_not_its_parents(images):
    assert planned(images, ["web"], force=True) == {"debian": (), "web": ("forced",)}


def test_a_step_says_which_layers_it_may_share():
    services = {
        name: {"repository": f"u/{name}", "base": "debian", "mods": mods}
        for name, mods in {"hub": "admin,java", "node": "admin,java,node", "web": "web"}.items()
    }
    images = parse({"bases": {"debian": DEBIAN}, "services": services})
    steps = plan.steps(images, Request(), lambda _: ["no image"])
    assert {step.image.name: step.shares for step in steps} == {
        "debian": (),
        "hub": ("admin,java on debian",),
        "node": ("admin,java on debian",),
        "web": (),
    }


def test_a_step_says_build_or_up_to_date(images):
    steps = plan.steps(
        images, Request(("web",)), lambda image: ["no image"] if image.name == "web" else []
    )
    assert [(step.to_dict()["name"], step.to_dict()["action"]) for step in steps] == [
        ("debian", "up-to-date"),
        ("web", "build"),
    ]

"""From what is asked for to what is to be built."""

import pytest

from salt_ubiq import plan
from salt_ubiq.catalogue import parse
from salt_ubiq.errors import BuildError, CatalogueError, UbiqError, UnknownImage

DEBIAN = {"repository": "ubiquitous/debian", "dockerfile": "/srv/debian"}
WEB = {
    "repository": "ubiquitous/web",
    "base": "debian",
    "mods": ["web"],
    "build": {"binds": ["/a:/a"]},
}
MOODLE = {"repository": "ubiquitous/moodle", "base": "ubiquitous/web", "mods": ["moodle"]}


@pytest.fixture
def images():
    return parse({"bases": {"debian": DEBIAN}, "services": {"web": WEB, "moodle": MOODLE}})


# The service that is meant


@pytest.mark.parametrize("name", ["web", "ubiquitous/web"])
def test_without_arguments_it_is_the_catalogues(images, name):
    assert plan.service(images, name, {}) is images["web"]


def test_arguments_stand_in_for_what_the_catalogue_says(images):
    service = plan.service(images, "web", {"mods": "admin,web", "timeout": 60})
    assert (service.mods, service.timeout, service.name) == (("admin", "web"), 60, "web")
    assert service.build == images["web"].build


def test_unknown_arguments_are_for_the_container_beside_the_catalogues(images):
    service = plan.service(images, "web", {"dns": ["1.1.1.1"]})
    assert service.build == {"binds": ["/a:/a"], "dns": ["1.1.1.1"]}
    assert images["web"].build == {"binds": ["/a:/a"]}


def test_an_argument_that_the_build_sets_itself_is_refused(images):
    with pytest.raises(CatalogueError, match="entrypoint: set by the build itself"):
        plan.service(images, "web", {"entrypoint": "sh"})


def test_a_base_is_not_built_as_a_service(images):
    with pytest.raises(BuildError, match=r"'debian' is a base: use ubiq_docker\.build_base"):
        plan.service(images, "debian", {})


def test_a_name_without_mods_has_to_be_in_the_catalogue(images):
    with pytest.raises(UnknownImage, match=r"no image 'wep' in the catalogue.*did you mean 'web'"):
        plan.service(images, "wep", {"base": "debian"})


def test_with_mods_any_repository_is_built_from_the_only_base(images):
    service = plan.service(images, "ubiquitous/tools", {"mods": "admin", "dns": ["1.1.1.1"]})
    assert (service.name, service.base) == ("ubiquitous/tools", "debian")
    assert (service.mods, service.build) == (("admin",), {"dns": ["1.1.1.1"]})


def test_with_mods_and_a_base_no_catalogue_is_needed():
    given = {"mods": ["admin"], "base": "debian:12", "tags": ["1", "latest"]}
    service = plan.service(parse(None), "tools", given)
    assert service.references == ("tools:1", "tools:latest")


@pytest.mark.parametrize(
    ("bases", "hint"),
    [
        ({}, "tools: base: say what to build from: an image reference"),
        (
            {"debian": DEBIAN, "ubuntu": {**DEBIAN, "repository": "ubuntu"}},
            "tools: base: say what to build from: one of debian, ubuntu, or an image reference",
        ),
    ],
)
def test_without_an_only_base_it_has_to_be_said(bases, hint):
    with pytest.raises(BuildError) as caught:
        plan.service(parse({"bases": bases}), "tools", {"mods": "admin"})
    assert str(caught.value) == hint


@pytest.mark.parametrize(
    ("tag", "tags"),
    [("1", ("1",)), (12, ("12",)), ("1,latest", ("1", "latest")), (["1", "2"], ("1", "2"))],
)
@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_a_tag_is_given_as_a_text_or_several_in_a_list_or_with_commas(images, name, tag, tags):
    assert plan.service(images, name, {"mods": "admin", "tags": tag}).tags == tags


@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_a_base_that_is_no_image_is_an_unknown_name_in_a_call_too(images, name):
    with pytest.raises(UbiqError, match="no image 'debain' in the catalogue"):
        plan.service(images, name, {"mods": "admin", "base": "debain"})


@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_an_argument_named_build_is_the_catalogues_key_whatever_else_is_given(images, name):
    given = {"mods": "admin", "build": {"tmpfs": {"/tmp": ""}}, "dns": ["1.1.1.1"]}
    build = plan.service(images, name, given).build
    assert build["tmpfs"] == {"/tmp": ""}
    assert build["dns"] == ["1.1.1.1"]


# What is to be built


def planned(images, patterns=(), stale=(), force=False):
    """The plan where the images in ``stale`` have a reason of their own."""
    forced = plan.all_forced(images, patterns) if force else {}
    steps = plan.steps(
        images, patterns, lambda image: ["no image"] if image.name in stale else [], forced
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
    plan.steps(images, (), lambda image: seen.append(image.name) or ["no image"])
    assert seen == ["debian"]


def test_force_builds_what_is_asked_for_and_not_its_parents(images):
    assert planned(images, ["web"], force=True) == {"debian": (), "web": ("forced",)}


def test_a_step_says_which_layers_it_may_share():
    services = {
        name: {"repository": f"u/{name}", "base": "debian", "mods": mods}
        for name, mods in {"hub": "admin,java", "node": "admin,java,node", "web": "web"}.items()
    }
    images = parse({"bases": {"debian": DEBIAN}, "services": services})
    steps = plan.steps(images, (), lambda _: ["no image"])
    assert {step.image.name: step.shares for step in steps} == {
        "debian": (),
        "hub": ("admin,java on debian",),
        "node": ("admin,java on debian",),
        "web": (),
    }


def test_a_step_says_build_or_up_to_date(images):
    steps = plan.steps(images, ["web"], lambda image: ["no image"] if image.name == "web" else [])
    assert [(step.to_dict()["name"], step.to_dict()["action"]) for step in steps] == [
        ("debian", "up-to-date"),
        ("web", "build"),
    ]

"""Services that a call declares, wholly or in part."""

import pytest

from salt_ubiq.catalogue import ad_hoc
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import BuildError, CatalogueError, UbiqError, UnknownImage
from tests.unit.catalogue.declared import DEBIAN, three, web


@pytest.fixture
def images():
    return three()


# The service that is meant


@pytest.mark.parametrize("name", ["web", "ubiquitous/web"])
def test_without_arguments_it_is_the_catalogues(images, name):
    assert ad_hoc.service(images, name, {}) is images["web"]


def test_arguments_stand_in_for_what_the_catalogue_says(images):
    service = ad_hoc.service(images, "web", {"mods": "admin,web", "timeout": 60})
    assert (service.mods, service.timeout, service.name) == (("admin", "web"), 60, "web")
    assert service.build == images["web"].build


def test_unknown_arguments_are_for_the_container_beside_the_catalogues(images):
    service = ad_hoc.service(images, "web", {"dns": ["1.1.1.1"]})
    assert service.build == {"binds": ["/a:/a"], "dns": ["1.1.1.1"]}
    assert images["web"].build == {"binds": ["/a:/a"]}


def test_an_argument_that_the_build_sets_itself_is_refused(images):
    with pytest.raises(CatalogueError, match="entrypoint: set by the build itself"):
        ad_hoc.service(images, "web", {"entrypoint": "sh"})


def test_a_base_is_not_built_as_a_service(images):
    with pytest.raises(BuildError, match=r"'debian' is a base: use ubiq_docker\.build_base"):
        ad_hoc.service(images, "debian", {})


def test_a_name_without_mods_has_to_be_in_the_catalogue(images):
    with pytest.raises(UnknownImage, match=r"no image 'wep' in the catalogue.*did you mean 'web'"):
        ad_hoc.service(images, "wep", {"base": "debian"})


def test_with_mods_any_repository_is_built_from_the_only_base(images):
    service = ad_hoc.service(images, "ubiquitous/tools", {"mods": "admin", "dns": ["1.1.1.1"]})
    assert (service.name, service.base) == ("ubiquitous/tools", "debian")
    assert (service.mods, service.build) == (("admin",), {"dns": ["1.1.1.1"]})


def test_with_mods_and_a_base_no_catalogue_is_needed():
    given = {"mods": ["admin"], "base": "debian:12", "tags": ["1", "latest"]}
    service = ad_hoc.service(parse(None), "tools", given)
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
        ad_hoc.service(parse({"bases": bases}), "tools", {"mods": "admin"})
    assert str(caught.value) == hint


@pytest.mark.parametrize(
    ("tag", "tags"),
    [("1", ("1",)), (12, ("12",)), ("1,latest", ("1", "latest")), (["1", "2"], ("1", "2"))],
)
@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_a_tag_is_given_as_a_text_or_several_in_a_list_or_with_commas(images, name, tag, tags):
    assert ad_hoc.service(images, name, {"mods": "admin", "tags": tag}).tags == tags


@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_a_base_that_is_no_image_is_an_unknown_name_in_a_call_too(images, name):
    with pytest.raises(UbiqError, match="no image 'debain' in the catalogue"):
        ad_hoc.service(images, name, {"mods": "admin", "base": "debain"})


@pytest.mark.parametrize("name", ["web", "ubiquitous/tools"])
def test_an_argument_named_build_is_the_catalogues_key_whatever_else_is_given(images, name):
    given = {"mods": "admin", "build": {"tmpfs": {"/tmp": ""}}, "dns": ["1.1.1.1"]}
    build = ad_hoc.service(images, name, given).build
    assert build["tmpfs"] == {"/tmp": ""}
    assert build["dns"] == ["1.1.1.1"]


# One that no catalogue has


def test_an_ad_hoc_service_is_named_after_its_repository():
    image = ad_hoc.ad_hoc("ubiquitous/tools", base="debian:12", mods="admin")
    assert (image.name, image.reference) == ("ubiquitous/tools", "ubiquitous/tools:latest")
    assert image.where("mods") == "mods"


def test_the_mistakes_of_an_ad_hoc_service_have_the_arguments_as_paths():
    with pytest.raises(CatalogueError) as caught:
        ad_hoc.ad_hoc("ubiquitous/Tools", base="debian:12", mods="", config={"cmdd": 1})
    title, *problems = str(caught.value).splitlines()
    assert title == "the build of ubiquitous/Tools has 3 mistakes:"
    assert [problem.strip().partition(": ")[0] for problem in problems] == [
        "repository",
        "mods",
        "config:cmdd",
    ]


def test_a_changed_service_keeps_the_rest():
    before = web(tags=["1"], config={"cmd": "nginx"}, pillar={"a": {"b": 1}})
    after = ad_hoc.changed(before, mods="admin,web", pillar={"c": 1})
    assert after == before.model_copy(update={"mods": ("admin", "web"), "pillar": {"c": 1}})


def test_a_change_is_validated():
    with pytest.raises(CatalogueError, match="mods: must not be empty"):
        ad_hoc.changed(web(), mods=[])

"""What a catalogue knows of its images, and of what they have in common."""

import pytest

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import UnknownImage
from tests.unit.catalogue.declared import base, service, web

# Looking things up


@pytest.fixture
def images() -> Catalogue:
    return parse(
        {
            "bases": {"debian": base(tags=["12", "latest"])},
            "services": {
                "web": service(base="debian"),
                "by-reference": service(repository="a", base="ubiquitous/debian:12"),
                "by-repository": service(repository="b", base="ubiquitous/debian"),
                "from-outside": service(repository="c", base="ubiquitous/debian:11"),
            },
        }
    )


@pytest.mark.parametrize("name", ["web", "by-reference", "by-repository"])
def test_the_parent_is_found_by_name_and_by_reference(images, name):
    assert images.parent_of(images[name]) is images["debian"]


@pytest.mark.parametrize("name", ["from-outside", "debian"])
def test_what_is_built_from_outside_has_no_parent_in_the_catalogue(images, name):
    assert images.parent_of(images[name]) is None


def test_an_image_is_found_by_its_name_and_by_its_repository(images):
    assert images.find("debian") is images["debian"]
    assert images.find("ubiquitous/debian") is images["debian"]
    assert images.find("nothing") is None


def test_of_several_images_in_a_repository_the_first_is_found():
    images = parse({"services": {"new": service(), "old": service(tags=["1"])}})
    assert images.find("ubiquitous/web") is images["new"]


def test_a_name_that_the_catalogue_lacks_is_an_error_with_a_near_match(images):
    with pytest.raises(UnknownImage, match="did you mean 'debian'"):
        images["debain"]


@pytest.mark.parametrize("repository", ["ubiquitous/web", "web"])
def test_an_image_says_where_its_keys_stand(repository):
    assert web(repository=repository).where("mods") == "ubiq:services:web:mods"


def test_a_base_says_where_its_keys_stand(images):
    assert images["debian"].where("dockerfile") == "ubiq:bases:debian:dockerfile"


# What services have in common


def beginnings(name="a", **services):
    declared = {
        key: {**service(repository=f"ubiquitous/{key}"), **keys} for key, keys in services.items()
    }
    catalogue = parse({"bases": {"debian": base()}, "services": declared})
    return [",".join(mods) for mods in catalogue.shared_beginnings(catalogue[name])]


def test_what_another_service_begins_with_too_is_shared():
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b"}) == ["one"]
    assert beginnings(a={"mods": "one,two,a"}, b={"mods": "one,two,b"}) == ["one,two"]


def test_several_beginnings_come_the_shortest_first():
    services = {"a": "one,two,a", "b": "one,two,b", "c": "one,c", "d": "d"}
    assert beginnings(**{name: {"mods": mods} for name, mods in services.items()}) == [
        "one",
        "one,two",
    ]


def test_all_of_a_service_may_be_what_another_begins_with():
    assert beginnings(a={"mods": "one"}, b={"mods": "one,b"}) == ["one"]
    assert beginnings(a={"mods": "one,two"}, b={"mods": "one,two"}) == ["one,two"]


@pytest.mark.parametrize("mods", ["b,one", "two", "one.two"])
def test_what_no_other_service_begins_with_is_not_shared(mods):
    assert beginnings(a={"mods": "one,a"}, b={"mods": mods}) == []


@pytest.mark.parametrize("name", ["a", "b"])
def test_who_is_not_to_share_does_not_and_nobody_with_it(name):
    services = {"a": {"mods": "one,a"}, "b": {"mods": "one,b"}}
    services[name] = {**services[name], "share": False}
    assert beginnings(**services) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"base": "debian:13"},
        {"saltenv": "dev"},
        {"pillar": {"word": "other"}},
        {"build": {"binds": ["/srv:/srv"]}},
        {"network_mode": "none"},
        {"extra_filerefs": ["salt://one/import.jinja"]},
    ],
)
def test_services_in_which_the_same_states_may_do_something_else_share_nothing(keys):
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b", **keys}) == []


@pytest.mark.parametrize(
    "keys", [{"config": {"cmd": "serve"}}, {"tags": ["1"]}, {"retries": 1}, {"timeout": 1}]
)
def test_what_changes_nothing_in_the_states_keeps_nobody_from_sharing(keys):
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b", **keys}) == ["one"]

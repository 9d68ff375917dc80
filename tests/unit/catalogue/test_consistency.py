"""What no image can know of itself: names, also those that builds make, and parents."""

import pytest

from salt_ubiq.catalogue.ad_hoc import _checked, ad_hoc
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError
from tests.unit.catalogue.declared import base, mistakes, mistakes_of_web, service, web


@pytest.mark.parametrize("name", ["Web", "a b", ".web", "-web", "a/b", ""])
def test_a_name_that_is_refused(name):
    (problem,) = mistakes({"services": {name: service()}})
    assert problem.endswith("a name has lower-case letters, digits, . _ and -, the first no sign")


@pytest.mark.parametrize("name", ["1.10", "true", "null", "0x10"])
def test_a_name_that_salts_command_line_takes_for_another_value_is_refused(name):
    (problem,) = mistakes({"services": {name: service()}})
    assert problem.startswith(f"ubiq:services:{name}: another value on Salt's command line")


def test_a_name_too_long_for_a_file_is_refused():
    assert mistakes({"services": {"a" * 129: service()}}) == [
        f"ubiq:services:{'a' * 80}… (129 letters): a name has at most 128 letters"
    ]


# Mistakes between images


def test_a_bare_base_that_is_no_image_is_an_unknown_name():
    declared = {
        "bases": {"debian-python": base()},
        "services": {"web": service(base="debian-pyton")},
    }
    assert mistakes(declared) == [
        "ubiq:services:web:base: no image 'debian-pyton' in the catalogue (did you mean "
        "'debian-python'?); an image from outside is written with its tag (debian-pyton:latest)"
    ]


@pytest.mark.parametrize("reference", ["debian:", "Debian:12", ":12", "a b:c", "debian:é"])
def test_a_base_that_cannot_be_an_image_reference(reference):
    assert mistakes_of_web(base=reference) == [
        f"base: '{reference}' is not an image reference such as debian:12"
    ]


@pytest.mark.parametrize("part", ["4b5d3a1e2f00", "sha256:4b5d3a1e2f00", "a" * 64])
def test_a_base_that_is_a_part_of_an_images_id_is_to_be_the_whole(part):
    digits = part.removeprefix("sha256:")
    (message,) = mistakes_of_web(base=part)
    assert message.startswith(f"base: '{part}' is not the whole ID of an image: ")
    assert message.endswith(f"docker image inspect --format '{{{{.Id}}}}' {digits} prints it")


def test_a_base_may_be_the_whole_id_of_an_image_or_a_digest():
    for reference in (f"sha256:{'a' * 64}", f"debian@sha256:{'a' * 64}"):
        assert web(base=reference).base == reference


def test_two_images_cannot_have_the_same_repository_and_tag():
    declared = {
        "services": {
            "web": service(tags=["1", "latest"]),
            "next": service(),
            "other": service(tags=["2"]),
        }
    }
    assert mistakes(declared) == ["ubiq:services:next: ubiquitous/web:latest is also web's"]


def test_a_base_and_a_service_cannot_have_the_same_name():
    declared = {"bases": {"web": base()}, "services": {"web": service()}}
    assert mistakes(declared) == ["ubiq:services:web: the name is taken by ubiq:bases:web"]


def test_a_service_built_from_itself():
    assert mistakes_of_web(base="web") == ["base: built from itself: web -> web"]


def test_services_built_from_each_other_by_name():
    declared = {
        "services": {
            "a": service(repository="a", base="b"),
            "b": service(repository="b", base="c"),
            "c": service(repository="c", base="a"),
        }
    }
    (problem,) = mistakes(declared)
    assert problem.endswith(
        (
            "a:base: built from itself: a -> b -> c -> a",
            "b:base: built from itself: b -> c -> a -> b",
            "c:base: built from itself: c -> a -> b -> c",
        )
    )


@pytest.mark.parametrize("reference", ["ubiquitous/b:latest", "ubiquitous/b"])
def test_services_built_from_each_other_by_reference(reference):
    declared = {
        "services": {
            "a": service(repository="ubiquitous/a", base=reference),
            "b": service(repository="ubiquitous/b", base="a"),
        }
    }
    (problem,) = mistakes(declared)
    assert problem.partition(": ")[2] in (
        "built from itself: a -> b -> a",
        "built from itself: b -> a -> b",
    )


def test_another_tag_of_its_own_repository_is_no_cycle():
    assert web(tags=["2"], base="ubiquitous/web:1").base == "ubiquitous/web:1"


def test_a_name_goes_before_a_repository_in_looking_for_cycles_too():
    images = parse(
        {
            "bases": {"debian": base()},
            "services": {"tools": service(repository="debian", base="debian")},
        }
    )
    assert images.parent_of(images["tools"]) is images["debian"]


def test_mistakes_between_images_are_found_beside_those_within():
    declared = {"services": {"web": service(base="web", mods=[], timeout=0)}}
    assert [problem.partition(": ")[0] for problem in mistakes(declared)] == [
        "ubiq:services:web:timeout",
        "ubiq:services:web:mods",
        "ubiq:services:web:base",
    ]


# Names that builds make by themselves


def site(repository="site", **keys):
    return service(repository=repository, **keys)


def test_what_fails_is_not_kept_under_a_tag_of_its_own():
    web = site(tags=["latest", "failed"], keep_failed=True)
    assert mistakes({"services": {"web": web}}) == [
        "ubiq:services:web:keep_failed: site:failed is what a build that fails is kept as, "
        "and also web's"
    ]


def test_what_fails_is_not_kept_under_a_tag_of_another():
    services = {
        "web": site(keep_failed=True),
        "db": site(tags=["failed"]),
    }
    assert mistakes({"services": services}) == [
        "ubiq:services:web:keep_failed: site:failed is what a build that fails is kept as, "
        "and also db's"
    ]


def test_two_services_of_a_repository_do_not_keep_what_fails_under_one_name():
    services = {
        "web": site(keep_failed=True, tags=["web"]),
        "db": site(keep_failed=True, tags=["db"]),
    }
    assert mistakes({"services": services}) == [
        "ubiq:services:db:keep_failed: site:failed is what a build that fails is kept as, "
        "and also web's"
    ]


def test_a_tag_named_failed_is_one_like_others_where_nothing_is_kept():
    services = {
        "web": site(tags=["failed"]),
        "db": site(tags=["db"]),
        "other": site("other", keep_failed=True),
    }
    assert parse({"services": services})["web"].references == ("site:failed",)


def test_a_build_of_one_call_counts_among_those_of_the_catalogue():
    images = parse({"services": {"db": site(tags=["failed"])}})
    image = ad_hoc("site", base="debian:12", mods="web", tags="mine", keep_failed=True)
    with pytest.raises(CatalogueError, match=r"keep_failed: site:failed is .* also db's"):
        _checked(images, image)


def test_a_base_makes_no_from_under_the_name_of_an_image():
    bases = {
        name: {
            "repository": name,
            "dockerfile": "/srv/x",
            "bootstrap": {"image": "debian", "suite": "bookworm"},
        }
        for name in ("debian", "python")
    }
    assert mistakes({"bases": bases}) == [
        f"ubiq:bases:{name}:bootstrap:image: debian:latest would be made from packages, "
        "and is also debian's"
        for name in ("debian", "python")
    ]


def test_bases_may_share_what_they_are_from():
    bases = {
        name: {
            "repository": name,
            "dockerfile": "/srv/x",
            "bootstrap": {"image": "debian:12-slim", "suite": "bookworm"},
        }
        for name in ("one", "two")
    }
    assert len(parse({"bases": bases}).bases) == 2


def test_an_images_name_in_the_registry_is_no_others():
    services = {"web": site(), "db": site("r.example.org/team/site")}
    assert mistakes({"registry": "r.example.org/team", "services": services}) == [
        "ubiq:services:web:repository: r.example.org/team/site:latest is its name in the "
        "registry, and also db's"
    ]

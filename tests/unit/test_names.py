"""Names that builds make by themselves, and arguments under their other names."""

import pytest
from saltext.dockermod.utils.dockermod.translate.container import ALIASES

from salt_ubiq.catalogue import _RESERVED, ad_hoc, parse
from salt_ubiq.errors import CatalogueError
from salt_ubiq.plan import _checked


def service(repository="site", **declared):
    return {"repository": repository, "base": "debian:12", "mods": ["web"], **declared}


def mistakes(**catalogue):
    with pytest.raises(CatalogueError) as caught:
        parse(catalogue)
    return [str(problem) for problem in caught.value.problems]


def test_what_fails_is_not_kept_under_a_tag_of_its_own():
    web = service(tags=["latest", "failed"], keep_failed=True)
    assert mistakes(services={"web": web}) == [
        "ubiq:services:web:keep_failed: site:failed is what a build that fails is kept as, "
        "and also web's"
    ]


def test_what_fails_is_not_kept_under_a_tag_of_another():
    services = {
        "web": service(keep_failed=True),
        "db": service(tags=["failed"]),
    }
    assert mistakes(services=services) == [
        "ubiq:services:web:keep_failed: site:failed is what a build that fails is kept as, "
        "and also db's"
    ]


def test_two_services_of_a_repository_do_not_keep_what_fails_under_one_name():
    services = {
        "web": service(keep_failed=True, tags=["web"]),
        "db": service(keep_failed=True, tags=["db"]),
    }
    assert mistakes(services=services) == [
        "ubiq:services:db:keep_failed: site:failed is what a build that fails is kept as, "
        "and also web's"
    ]


def test_a_tag_named_failed_is_one_like_others_where_nothing_is_kept():
    services = {
        "web": service(tags=["failed"]),
        "db": service(tags=["db"]),
        "other": service("other", keep_failed=True),
    }
    assert parse({"services": services})["web"].references == ("site:failed",)


def test_a_build_of_one_call_counts_among_those_of_the_catalogue():
    images = parse({"services": {"db": service(tags=["failed"])}})
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
    assert mistakes(bases=bases) == [
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
    services = {"web": service(), "db": service("r.example.org/team/site")}
    assert mistakes(registry="r.example.org/team", services=services) == [
        "ubiq:services:web:repository: r.example.org/team/site:latest is its name in the "
        "registry, and also db's"
    ]


@pytest.mark.parametrize("repository", ["salt-ubiq.local/build", "salt-ubiq.local/shared"])
def test_a_repository_of_builds_is_nobody_elses(repository):
    assert mistakes(services={"web": service(repository)}) == [
        "ubiq:services:web:repository: salt-ubiq.local is where builds keep images of their "
        "own: take another host"
    ]


@pytest.mark.parametrize("key", sorted({*ALIASES, *ALIASES.values()} & _RESERVED))
def test_what_a_build_sets_itself_is_refused_under_all_names(key):
    assert mistakes(services={"web": service(build={key: "x"})}) == [
        f"ubiq:services:web:build: {key}: set by the build itself, remove it"
    ]


def test_every_name_of_a_reserved_argument_is_reserved():
    for alias, argument in ALIASES.items():
        assert (alias in _RESERVED) == (argument in _RESERVED), alias


def test_variables_are_given_under_one_name():
    assert mistakes(services={"web": service(build={"env": ["TOKEN=x"]})}) == [
        "ubiq:services:web:build: env: write environment, a mapping, which is given to the states"
    ]

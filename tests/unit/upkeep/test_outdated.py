"""What has moved under an image, on an engine whose images say what is installed in them."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from salt_ubiq.catalogue.models import Bootstrap
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import CallFailed, RegistryError, UnknownImage
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.upkeep.outdated import Lookout, Outdated, Upgrade

DEBIAN = {"repository": "u/debian", "dockerfile": "/srv/debian"}
SERVICES = {
    "web": {"repository": "u/web", "base": "debian", "mods": ["web"], "network_mode": "host"},
    "site": {"repository": "u/site", "base": "web", "mods": ["site"]},
    "tool": {"repository": "u/tool", "base": "busybox:1", "mods": ["tool"]},
}
CATALOGUE = parse({"bases": {"debian": DEBIAN}, "services": SERVICES})


class Container:
    """Salt in an image with packages, some of which there are newer versions of."""

    def __init__(self, installed, available, family, calls):
        self._answers = {
            "grains.get": family,
            "pkg.list_pkgs": installed,
            "pkg.list_upgrades": available,
            "pkg.refresh_db": True,
        }
        self._calls = calls

    def call(self, function, *args, **kwargs):
        self._calls.append((function, kwargs))
        answer = self._answers[function]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Host:
    """
    An engine and its recipes, for all that a lookout asks.

    packages
        what is installed and what is available by the image's reference
    """

    def __init__(self, **packages):
        self.packages = packages
        self.family = "Debian"
        self.known = {}
        self.kept = {}
        self.calls = []
        self.started = []
        self.images = self

    def find(self, reference):
        return self.known.get(reference)

    def load(self, digest):
        return self.kept.get(digest)

    def digests(self, _reference, image):
        """As an engine has them where only what was pulled has any."""
        return frozenset(digest.partition("@")[2] for digest in image.digests)

    def have(self, reference, *digests, recipe=""):
        config = {"Labels": {"org.salt-ubiq.recipe": recipe}}
        self.known[reference] = ImageInfo(f"sha256:{reference}", config, 1, digests=digests)

    @contextmanager
    def salt_in(self, image, name, **create):
        self.started.append((name, create))
        installed, available = self.packages.get(image.id.removeprefix("sha256:"), ({}, {}))
        yield Container(installed, available, self.family, self.calls)


REFERENCES = ("u/debian:latest", "u/web:latest", "u/site:latest", "u/tool:latest")
NGINX = ({"nginx": "1.22", "curl": "7.88"}, {"nginx": "1.24"})
CURL = ({"nginx": "1.22", "curl": "7.88"}, {"nginx": "1.24", "curl": "8.0"})


@pytest.fixture
def host():
    host = Host()
    for reference in REFERENCES:
        host.have(reference)
    return host


@pytest.fixture
def lookout(host):
    return moving(host, lambda reference: None)


def test_a_newer_package_is_told_with_its_versions(host, lookout):
    host.packages = {"u/web:latest": NGINX}
    found = lookout.outdated(CATALOGUE["web"])
    assert found.packages == {"nginx": Upgrade("1.22", "1.24")}
    assert found.reasons == ["package nginx: 1.22 is installed, 1.24 is available"]
    assert found.to_dict() == {
        "outdated": True,
        "packages": {"nginx": {"installed": "1.22", "available": "1.24"}},
        "moved": [],
    }


def test_an_image_that_has_the_newest_is_not_outdated(lookout):
    found = lookout.outdated(CATALOGUE["web"])
    assert found == Outdated()
    assert found.to_dict() == {"outdated": False, "packages": {}, "moved": []}


def test_an_image_that_is_not_there_is_not_looked_at(host, lookout):
    del host.known["u/web:latest"]
    assert lookout.outdated(CATALOGUE["web"]) == Outdated()
    assert host.started == []


def test_packages_of_the_parent_do_not_count_for_what_is_built_from_it(host, lookout):
    host.packages = {"u/web:latest": NGINX, "u/site:latest": CURL}
    assert lookout.outdated(CATALOGUE["site"]).packages == {"curl": Upgrade("7.88", "8.0")}
    assert lookout.outdated(CATALOGUE["web"]).packages == {"nginx": Upgrade("1.22", "1.24")}


def test_packages_of_a_parent_from_outside_do_not_count_either(host, lookout):
    host.have("busybox:1")
    host.packages = {"busybox:1": NGINX, "u/tool:latest": CURL}
    assert lookout.outdated(CATALOGUE["tool"]).packages == {"curl": Upgrade("7.88", "8.0")}


def test_all_packages_of_a_base_count(host, lookout):
    host.packages = {"u/debian:latest": CURL}
    found = lookout.outdated(CATALOGUE["debian"])
    assert list(found.packages) == ["nginx", "curl"]
    assert found.reasons[0].startswith("package curl")


def test_each_image_is_looked_at_once(host, lookout):
    for name in ("site", "web", "site", "web"):
        lookout.outdated(CATALOGUE[name])
    assert sorted(name for name, _ in host.started) == [
        "u/debian:latest",
        "u/site:latest",
        "u/web:latest",
    ]


def test_packages_are_looked_for_in_the_network_of_the_build(host, lookout):
    lookout.outdated(CATALOGUE["web"])
    assert dict(host.started)["u/web:latest"] == {"network_mode": "host"}
    assert dict(host.started)["u/debian:latest"] == {}


@pytest.mark.parametrize(("family", "how"), [("Debian", {"failhard": True}), ("RedHat", {})])
def test_lists_that_can_not_be_fetched_are_an_error(host, lookout, family, how):
    host.family = family
    lookout.outdated(CATALOGUE["web"])
    assert ("pkg.refresh_db", how) in host.calls


def test_what_can_not_be_looked_at_is_warned_of_and_left_as_it_is(host, lookout, caplog):
    host.packages = {"u/web:latest": ({}, CallFailed("u/web:latest: pkg.list_upgrades: no"))}
    host.packages["u/debian:latest"] = CURL
    assert list(lookout.reasons(["web"])) == ["debian"]
    assert "web: can't tell what has moved under it" in caplog.text


def test_reasons_are_of_what_is_asked_for_and_of_all_below(host, lookout):
    host.packages = dict.fromkeys(REFERENCES, NGINX)
    assert lookout.reasons(["site"]) == {
        "debian": ["package nginx: 1.22 is installed, 1.24 is available"]
    }
    with pytest.raises(UnknownImage, match="no image 'sitee'"):
        lookout.reasons(["sitee"])


# What images come from


def moving(host, now):
    """A lookout at registries that have these digests now."""
    return Lookout(CATALOGUE, host, host, host.salt_in, now, host)


def test_what_a_base_is_from_has_moved_where_the_registry_has_another_digest(host):
    host.have("u/debian:latest", recipe="r")
    host.kept["r"] = Recipe(parent={"debian:12": "sha256:1", "nginx": "sha256:2"})
    host.have("debian:12", "debian@sha256:a")
    host.have("nginx", "nginx@sha256:b")
    digests = {"debian:12": "sha256:c", "nginx": "sha256:b"}
    found = moving(host, digests.__getitem__).outdated(CATALOGUE["debian"])
    assert found.moved == ("debian:12",)
    assert found.reasons == ["debian:12 has moved in its registry"]


@pytest.mark.parametrize(
    ("here", "now"),
    [
        (("busybox@sha256:a",), "sha256:a"),
        (("busybox@sha256:a", "mirror/busybox@sha256:b"), "sha256:b"),
        (("busybox@sha256:a",), None),  # the registry lacks it
        ((), "sha256:a"),  # it was made here
    ],
)
def test_what_is_the_same_or_of_no_registry_has_not_moved(host, here, now):
    host.have("busybox:1", *here)
    assert moving(host, lambda _: now).outdated(CATALOGUE["tool"]).moved == ()


def test_what_a_service_is_built_from_outside_may_have_moved(host):
    host.have("busybox:1", "busybox@sha256:a")
    assert moving(host, lambda _: "sha256:b").outdated(CATALOGUE["tool"]).moved == ("busybox:1",)


def test_a_registry_that_does_not_answer_moves_nothing(host, caplog):
    def fails(_):
        raise RegistryError("registry docker.io: connection refused")

    host.have("busybox:1", "busybox@sha256:a")
    assert moving(host, fails).outdated(CATALOGUE["tool"]).moved == ()
    assert "can't tell whether busybox:1 has moved" in caplog.text


def test_what_is_bootstrapped_has_never_moved(host):
    made = {"image": "debian:12", "suite": "bookworm"}
    base = CATALOGUE["debian"].model_copy(update={"bootstrap": Bootstrap(**made)})
    host.have("u/debian:latest", recipe="r")
    host.kept["r"] = Recipe(parent={"debian:12": "sha256:1"})
    host.have("debian:12", "debian@sha256:a")
    assert moving(host, {"debian:12": "sha256:c"}.__getitem__).outdated(base) == Outdated()

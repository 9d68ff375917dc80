"""What an image's labels say, and where they say nothing."""

import importlib.metadata
from datetime import datetime, timedelta, timezone

import pytest

from salt_ubiq.builds.git_checkout import Checkout
from salt_ubiq.builds.labels import Provenance, of_base, of_service
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.engine.images import ImageInfo

OCI, OURS = "org.opencontainers.image", "org.salt-ubiq"
PARENT_ID = f"sha256:{'a' * 64}"
DIGEST, OTHER = f"sha256:{'b' * 64}", f"sha256:{'c' * 64}"
CREATED = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=1)))
TREE = Checkout("0123abc", "https://example.org/states")


def service(**keys):
    given = {"repository": "team/web", "tags": "7, latest", "base": "debian", "mods": "admin, web"}
    return Service(name="web", path="ubiq:services:web", **{**given, **keys})


def parent(labels=None, digests=()):
    return ImageInfo(PARENT_ID, {"Labels": labels}, 1, digests=digests)


def labels_of(declared=None, on=None, name="debian:12", checkout=TREE):
    return of_service(
        declared or service(), on or parent(), name, Provenance("r1", CREATED, checkout)
    )


def test_a_services_labels_say_what_it_is_and_comes_from():
    assert labels_of() == {
        f"{OCI}.created": "2026-01-02T02:04:05Z",
        f"{OCI}.revision": "0123abc",
        f"{OCI}.source": "https://example.org/states",
        f"{OCI}.base.name": "debian:12",
        f"{OCI}.base.digest": PARENT_ID,
        f"{OCI}.title": "web",
        f"{OCI}.version": "7",
        f"{OURS}.image": "web",
        f"{OURS}.run": "r1",
        f"{OURS}.mods": "admin,web",
        f"{OURS}.salt-version": importlib.metadata.version("salt"),
    }


def test_without_a_checkout_there_are_no_labels_of_it():
    assert not {f"{OCI}.revision", f"{OCI}.source"} & labels_of(checkout=None).keys()


def test_what_a_parent_says_of_itself_is_emptied_where_nothing_is_known_instead():
    inherited = {f"{OCI}.{name}": "of the parent" for name in ("revision", "source", "vendor")}
    labels = labels_of(on=parent(inherited), checkout=Checkout("0123abc", None))
    assert labels[f"{OCI}.revision"] == "0123abc"
    assert labels[f"{OCI}.source"] == ""
    assert f"{OCI}.vendor" not in labels
    assert labels_of(on=parent(inherited), checkout=None)[f"{OCI}.revision"] == ""


def test_the_catalogues_own_labels_go_over_ours_but_for_salt_ubiqs():
    declared = service(
        config={"labels": {f"{OCI}.version": "7.1", f"{OCI}.source": "x", f"{OURS}.run": "x"}}
    )
    labels = labels_of(declared)
    assert not {f"{OCI}.version", f"{OCI}.source"} & labels.keys()
    assert labels[f"{OURS}.run"] == "r1"


def test_no_label_has_a_value_of_pillar():
    labels = labels_of(service(pillar={"web": {"password": "geheim"}, "colour": "geheim"}))
    assert "geheim" not in str(labels)


@pytest.mark.parametrize(
    ("name", "digests", "expected"),
    [
        ("debian:12", (), PARENT_ID),
        ("debian:12", (f"debian@{DIGEST}",), DIGEST),
        ("team/debian", (f"debian@{OTHER}", f"team/debian@{DIGEST}"), DIGEST),
        ("host:5000/debian", (f"debian@{OTHER}", f"host:5000/debian@{DIGEST}"), DIGEST),
        ("docker.io/library/debian:12", (f"debian@{DIGEST}",), DIGEST),
    ],
)
def test_the_bases_digest_is_the_registrys_or_its_id(name, digests, expected):
    labels = labels_of(on=parent(digests=digests), name=name)
    assert labels[f"{OCI}.base.digest"] == expected


def test_an_id_is_no_name_of_a_base():
    inherited = parent({f"{OCI}.base.name": "scratch"})
    assert labels_of(on=inherited, name=PARENT_ID)[f"{OCI}.base.name"] == ""


def labels_of_base(dockerfile="FROM debian:12", on=None, name="debian:12", checkout=TREE):
    base = Base(name="own", path="", repository="team/own", tags=["12"], dockerfile="/x")
    return of_base(base, dockerfile, on, name, Provenance("r1", CREATED, checkout))


def test_a_bases_labels_say_what_it_is_and_comes_from():
    assert labels_of_base(on=parent(digests=(f"debian@{DIGEST}",))) == {
        f"{OCI}.created": "2026-01-02T02:04:05Z",
        f"{OCI}.revision": "0123abc",
        f"{OCI}.source": "https://example.org/states",
        f"{OCI}.base.name": "debian:12",
        f"{OCI}.base.digest": DIGEST,
        f"{OCI}.title": "own",
        f"{OCI}.version": "12",
        f"{OURS}.image": "own",
        f"{OURS}.run": "r1",
    }


def test_a_base_hides_what_is_true_of_its_from_alone():
    own = [f"{OCI}.revision", f"{OCI}.source", f"{OURS}.mods", f"{OURS}.salt-version"]
    inherited = dict.fromkeys([*own, f"{OCI}.vendor"], "of the parent")
    labels = labels_of_base(on=parent(inherited), checkout=None)
    assert {key: labels.get(key) for key in own} == dict.fromkeys(own, "")
    assert f"{OCI}.vendor" not in labels


def test_a_base_from_scratch_says_nothing_of_a_base():
    labels = labels_of_base("FROM scratch", name="")
    assert not {f"{OCI}.base.name", f"{OCI}.base.digest"} & labels.keys()


def test_what_a_dockerfile_says_of_a_label_is_left_to_it_but_for_salt_ubiqs():
    labels = labels_of_base(
        f'FROM debian\nLABEL {OCI}.source="https://x" {OCI}.title=Mine {OURS}.run=x\n'
    )
    assert not {f"{OCI}.source", f"{OCI}.title"} & labels.keys()
    assert labels[f"{OCI}.revision"] == "0123abc"
    assert labels[f"{OURS}.run"] == "r1"

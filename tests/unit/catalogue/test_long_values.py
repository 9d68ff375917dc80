"""However long what is declared or asked for is, what is said of it is short."""

from __future__ import annotations

import time
from copy import deepcopy
from itertools import product

import pytest
from salt.exceptions import SaltInvocationError

from salt_ubiq.catalogue import webhook
from salt_ubiq.catalogue.ad_hoc import service
from salt_ubiq.catalogue.graph import select
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError, RegistryError, UbiqError, UnknownImage
from salt_ubiq.modules import ubiq_docker
from salt_ubiq.registry.logins import credentials
from tests.support.mutants import places
from tests.unit.catalogue.declared import base, three
from tests.unit.catalogue.declared import service as declared

LONGEST = 550
LETTERS = 100_000
LONG = ("a" * LETTERS, "a-" * (LETTERS // 2), "a:" * (LETTERS // 2), "a," * (LETTERS // 2))
HEALTH = {"healthcheck": {"test": ["true"], "interval": 1}, "exposed_ports": [80]}
EVERYTHING = {
    "defaults": {"timeout": 60},
    "registry": "registry.example.org",
    "secrets": ["app:dsn"],
    "pillar_keys": {"web": ["app"]},
    "questions": {"here": ["sdb"]},
    "runtime": {"image": "debian:12"},
    "bases": {
        "debian": base(
            buildargs={"FROM": "debian:12"},
            bootstrap={"image": "debian:12", "suite": "bookworm", "include": ["curl"]},
        )
    },
    "services": {
        "web": declared(
            extra_filerefs=["salt://x"],
            build={"binds": ["/a:/a"]},
            verify=[{"http": {"path": "/"}}, {"file": "/x"}, {"healthy": True}],
            converged=True,
            services="fail",
            config={"labels": {"a": "b"}, "env": {"A": "b"}, "stop_signal": "SIGTERM", **HEALTH},
        )
    },
}


def catalogues():
    """Each with something long in one place, as its value or as its key."""
    for number, long in product(range(len(list(places(EVERYTHING)))), LONG):
        changed = deepcopy(EVERYTHING)
        parent, key = list(places(changed))[number]
        kept, parent[key] = parent[key], long
        yield changed
        if isinstance(parent, dict):
            del parent[key]
            parent[long] = kept
            yield changed


def test_a_message_shows_the_beginning_of_a_long_value_or_key():
    refused, slowest = 0, 0.0
    for catalogue in catalogues():
        started = time.process_time()
        try:
            parse(catalogue)
        except CatalogueError as exc:
            refused += 1
            assert max(map(len, str(exc).splitlines())) < LONGEST, str(exc)[:2000]
            assert all(problem.path.startswith("ubiq") for problem in exc.problems)
        slowest = max(slowest, time.process_time() - started)
    assert refused > 200
    assert slowest < 2


def test_of_many_mistakes_the_first_are_told_and_how_many_there_are():
    many = {f"{'x' * 100}{n}": declared(mods=[], tags=f"t{n}") for n in range(1000)}
    with pytest.raises(CatalogueError) as caught:
        parse({"services": many})
    assert len(caught.value.problems) == 1000
    first, *lines = str(caught.value).splitlines()
    assert first == "the catalogue has 1000 mistakes:"
    assert lines[-1] == "  and 980 more"
    assert len(lines) == 21


def test_of_a_long_circle_the_beginning_is_told():
    circle = {f"web-{n}": declared(base=f"web-{(n + 1) % 1000}") for n in range(1000)}
    for number, each in enumerate(circle.values()):
        each["repository"] += str(number)
    with pytest.raises(CatalogueError, match=r"web-0 -> web-1 -> .* more") as caught:
        parse({"services": circle})
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize(
    "key", ["mods", "base", "tags", "saltenv", "network_mode", "config", "no-key"]
)
def test_nor_is_an_argument_of_a_call_repeated_whole(long, key):
    for name in ("web", long):
        try:
            service(three(), name, {key: long})
        except UbiqError as exc:
            assert max(map(len, str(exc).splitlines())) < LONGEST


@pytest.mark.parametrize("long", LONG)
def test_nor_is_a_name_that_nothing_has(long):
    many = {f"image-{number}": [] for number in range(10_000)}
    for known in (three().edges, many, {long: []}):
        with pytest.raises(UnknownImage) as caught:
            select(known, ["x" + long])
        assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("long", LONG)
@pytest.mark.parametrize(
    "order",
    [
        lambda long: long,
        lambda long: {long: True, "images": ["web"]},
        lambda long: {"images": [long]},
        lambda long: {"images": ["web"], "push": long},
        lambda long: {"images": list(long)},
    ],
)
def test_nor_what_a_webhook_sends(long, order):
    try:
        webhook.parse(order(long))
    except CatalogueError as exc:
        assert max(map(len, str(exc).splitlines())) < LONGEST
        assert len(str(exc)) < 3000


def test_nor_the_name_of_a_registry_whose_login_is_wrong():
    with pytest.raises(RegistryError) as caught:
        credentials({"docker-registries": {LONG[0]: {}}}, {}, {})
    assert len(str(caught.value)) < LONGEST


def test_an_image_of_a_long_name_from_outside_is_refused():
    with pytest.raises(CatalogueError, match="is not an image reference"):
        parse({"services": {"web": declared(base=f"{'a' * 256}:1")}, "bases": {"debian": base()}})


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "told"),
    [
        ("plan", ([LONG[0]],), {}, "is not the name of an image"),
        ("packages", (LONG[0],), {}, "is not an image reference such as debian:12"),
        ("runs", (), {"limit": LONG[0]}, "limit: write how many runs, from 1 on, not aaa"),
        ("runs", (), {"limit": 0}, "limit: write how many runs, from 1 on, not 0"),
        ("build_all", (), {"jobs": LONG[0]}, "jobs: write how many builds at once, from 1 on"),
        ("prune", (), {"days": LONG[0]}, "days: write a number of days, not aaa"),
        ("prune", (), {"days": -1}, "days: write a number of days, not -1"),
        ("prune", (), {"days": float("nan")}, "days: write a number of days, not nan"),
    ],
)
def test_an_argument_of_another_kind_is_refused(function, args, kwargs, told, monkeypatch):
    for dunder in ("__salt__", "__opts__", "__pillar__", "__context__"):
        monkeypatch.setattr(ubiq_docker, dunder, {}, raising=False)
    with pytest.raises(SaltInvocationError, match=told) as caught:
        getattr(ubiq_docker, function)(*args, **kwargs)
    assert len(str(caught.value)) < LONGEST

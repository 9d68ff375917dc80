"""Catalogues with mistakes that nobody has thought of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import salt.utils.yaml

from tests.support.repository import REPOSITORY

# What else may stand anywhere in pillar.
VALUES = (
    None, True, False, 0, -1, 2**63, 2**64, 1e300, float("inf"), float("nan"), 12, 1.1, "", " ",
    "x", "12", "1.10", "true", "null", "a" * 5000, "\0", "\ud800", "ü", "a\nb", "{{ x }}", "../..",
    "salt://", "/", "A=B", b"", b"\xff", [], [[]], [None], ["x"], ["a", "a"], {}, {"x": 1},
    {1: 2}, {None: None}, {"a": {"b": {"c": []}}}, {"": ""}, [{}], "-1s", "80/tcp", "65536",
)  # fmt: skip
KEYS = (
    "x",
    "",
    "ubiq",
    "bases",
    "services",
    12,
    None,
    True,
    "a" * 300,
    "a:b",
    "\0",
    "name",
    "path",
)


def mutants(seed: int, count: int) -> Iterator[Any]:
    """So many values of ``ubiq``: the shipped one with one to three changes each."""
    text = (REPOSITORY / "pillar" / "ubiq.sls").read_text()
    shipped = salt.utils.yaml.safe_load(text)["ubiq"]
    chance = random.Random(seed)
    for _ in range(count):
        mutant = {"ubiq": deepcopy(shipped)}
        for _ in range(chance.randint(1, 3)):
            _change(mutant, chance)
        yield mutant["ubiq"]


def _change(mutant: dict[str, Any], chance: random.Random) -> None:
    parent, key = chance.choice(list(places(mutant)))
    what = chance.choice(("value", "value", "value", "remove", "key", "copy"))
    if what == "value" or parent is mutant:
        parent[key] = deepcopy(chance.choice(VALUES))
    elif what == "remove":
        del parent[key]
    elif isinstance(parent, list):
        parent.append(deepcopy(parent[key]))
    elif what == "key":
        parent[chance.choice(KEYS)] = parent.pop(key)
    else:
        parent[chance.choice(KEYS)] = deepcopy(parent[key])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])

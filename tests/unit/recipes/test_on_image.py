"""What an image tells of its recipe."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from salt_ubiq.recipes.on_image import changes_since, from_label, to_label
from salt_ubiq.recipes.recipe import Recipe


def hash_of(value):
    return hashlib.sha256(str(value).encode()).hexdigest()


RECIPE = Recipe(
    parent={"debian": "sha256:1"},
    mods=("web",),
    states={"web: pkg.installed nginx": hash_of(1), "web: file.managed /srv/page": hash_of(2)},
    files={"salt://page": hash_of(3)},
    pillar={"nginx:user": hash_of("www"), "pin": hash_of("0815")},
    config={"cmd": hash_of(4)},
    salt="3008",
)
KEY = hash_of("a key")


def told(recipe):
    return from_label(to_label(recipe))


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, []),
        ({"parent": {"debian": "sha256:2"}}, ["parent debian changed"]),
        ({"mods": ("web", "more")}, ["mods changed: + more"]),
        ({"files": {"salt://page": hash_of(30)}}, ["salt://page changed"]),
        ({"files": {**RECIPE.files, "salt://new": hash_of(3)}}, ["salt://new added"]),
        ({"pillar": {**RECIPE.pillar, "pin": hash_of("1234")}}, ["pillar pin changed"]),
        ({"pillar": {**RECIPE.pillar, "new": hash_of(1)}}, ["pillar new added"]),
        ({"pillar": {"pin": RECIPE.pillar["pin"]}}, ["pillar … removed"]),
        ({"config": {"cmd": hash_of(40)}}, ["config cmd changed"]),
        ({"salt": "3009"}, ["Salt changed: 3008 to 3009"]),
        ({"key": KEY}, ["ubiq:recipe_key added"]),
    ],
)
def test_it_says_what_has_changed_as_the_whole_recipe_does(changed, reasons):
    assert changes_since(told(RECIPE), replace(RECIPE, **changed))[:1] == reasons


def test_with_a_key_it_says_so_too():
    keyed = replace(RECIPE, key=KEY)
    pillar = {**RECIPE.pillar, "pin": hash_of("1234")}
    assert changes_since(told(keyed), replace(keyed, pillar=pillar)) == ["pillar pin changed"]
    assert changes_since(told(keyed), replace(keyed, key=hash_of("other")))[0] == (
        "ubiq:recipe_key changed"
    )


def test_many_values_are_what_it_tells_of_one():
    """A PIN of four digits is one of some forty, for whoever tries all."""
    label = told(RECIPE).pillar.values()
    pins = [
        pin
        for pin in (f"{number:04}" for number in range(10_000))
        if hash_of(hash_of(pin))[:2] in label
    ]
    assert "0815" in pins and len(pins) > 20


def test_it_has_no_name_of_a_key_of_pillar_and_with_a_recipe_key_no_hash_that_can_be_tried():
    assert not {"pin", "nginx:user"} & {*told(RECIPE).pillar}
    keyed = told(replace(RECIPE, key=KEY))
    assert not any(hash_of(hash_of("0815")).startswith(value) for value in keyed.pillar.values())
    assert KEY[:8] not in str(keyed)


def test_hundreds_of_states_are_a_few_thousand_letters():
    states = {f"web: file.managed /srv/page/{number}": hash_of(number) for number in range(500)}
    assert len(to_label(replace(RECIPE, states=states))) < 8000


@pytest.mark.parametrize(
    "text", ["", "no base64", "AAAA", to_label(RECIPE)[:-20], "eNqrrgUAAXUA+Q=="]
)
def test_what_cannot_be_read_tells_nothing(text):
    assert from_label(text) in (None, Recipe())

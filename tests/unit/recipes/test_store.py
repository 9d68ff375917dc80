"""The recipes of what was built here are kept as long as the images."""

from __future__ import annotations

import pytest

from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.workspace.slots import Workspace

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
WEB = Recipe({"debian": A}, ["web"], {"web: file.managed /srv": "1"}, salt="3008")
DB = Recipe({"debian": A}, ["db"])


@pytest.fixture
def recipes(tmp_path):
    return Recipes(Workspace(str(tmp_path)))


def test_a_recipe_comes_back_as_it_was(recipes, tmp_path):
    recipes.save(WEB, B)
    again = Recipes(Workspace(str(tmp_path)))
    assert again.load(WEB.digest) == WEB
    assert again.load(WEB.digest).digest == WEB.digest
    assert again.images == {B}


def test_what_was_built_elsewhere_is_not_known(recipes):
    assert recipes.load(WEB.digest) is None
    assert recipes.images == frozenset()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"unknown": 1}', "\udcff"])
def test_a_record_that_can_not_be_read_is_as_if_it_were_not_there(recipes, tmp_path, text):
    recipes.save(WEB, B)
    path = tmp_path / "ubiq" / "recipes" / f"{WEB.digest}.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert recipes.load(WEB.digest) is None


def test_images_with_one_recipe_keep_it_until_the_last_is_gone(recipes):
    recipes.save(WEB, A)
    recipes.save(WEB, B)
    recipes.save(DB, C)
    recipes.keep({B})
    assert recipes.images == {B}
    assert recipes.load(WEB.digest) == WEB
    assert recipes.load(DB.digest) is None
    recipes.keep(())
    assert recipes.images == frozenset()
    assert recipes.load(WEB.digest) is None


def test_an_image_that_is_built_again_has_its_new_recipe(recipes):
    recipes.save(WEB, A)
    recipes.save(DB, A)
    recipes.keep({A})
    assert recipes.load(DB.digest) == DB
    assert recipes.load(WEB.digest) is None


def test_recipes_are_for_their_owner_alone(recipes, tmp_path):
    assert (tmp_path / "ubiq" / "recipes").stat().st_mode & 0o777 == 0o700


def test_what_a_killed_process_left_half_written_is_no_image(recipes, tmp_path):
    (tmp_path / "ubiq" / "recipes" / "images" / f".{'a' * 64}.123").write_text("")
    assert recipes.images == frozenset()

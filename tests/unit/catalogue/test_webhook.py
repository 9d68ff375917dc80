"""What a webhook may order."""

import pytest

from salt_ubiq.catalogue.webhook import Order, parse
from salt_ubiq.errors import CatalogueError


def test_names_alone_are_an_order():
    assert parse({"images": ["web", "db-1.x"]}) == Order(
        images=["web", "db-1.x"], push=False, refresh=False, force=False
    )


@pytest.mark.parametrize("flag", ["push", "refresh", "force"])
def test_a_flag_is_taken_as_it_is(flag):
    assert getattr(parse({"images": ["web"], flag: True}), flag) is True


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (None, "the body: write a mapping"),
        ([{"images": ["web"]}], "the body: write a mapping"),
        ("images: [web]", "the body: write a mapping"),
        ({}, "images: missing"),
        ({"images": []}, "images: must not be empty"),
        ({"images": "web"}, "images: "),
        ({"images": {"web": 1}}, "images: "),
        ({"images": [1]}, "images:0: "),
        ({"images": ["web", "web*"]}, "images:1: write the whole name"),
        ({"images": ["+web"]}, "images:0: write the whole name"),
        ({"images": ["web+"]}, "images:0: write the whole name"),
        ({"images": ["web\n"]}, "images:0: write the whole name"),
        ({"images": ["tgt=other"]}, "images:0: write the whole name"),
        ({"images": ["web"], "push": "yes"}, "push: "),
        ({"images": ["web"], "force": 1}, "force: "),
        ({"images": ["web"], "tgt": "*"}, "'tgt': unknown key"),
        ({"images": ["web"], "fun": "cmd.run", "arg": ["id"]}, "'fun': unknown key"),
    ],
)
def test_anything_else_is_refused_with_its_place(data, place):
    with pytest.raises(CatalogueError) as caught:
        parse(data)
    assert place in str(caught.value)


def test_a_key_from_outside_can_not_write_lines_of_its_own_into_a_log():
    with pytest.raises(CatalogueError) as caught:
        parse({"images": ["web"], "x\nall is well\n" + 1000 * "y": True})
    _, line = str(caught.value).splitlines()
    assert len(line) < 200

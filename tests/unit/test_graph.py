"""Order among images."""

from itertools import pairwise

from salt_ubiq import graph

EDGES = {"web": ["debian"], "moodle": ["web"], "db": ["debian"], "debian": []}


def test_a_tree_has_no_cycle():
    assert graph.cycle(EDGES) is None


def test_a_cycle_is_told_from_child_to_parent_and_closes():
    found = graph.cycle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
    assert found[0] == found[-1]
    assert set(pairwise(found)) == {
        ("a", "b"),
        ("b", "c"),
        ("c", "a"),
    }


def test_parents_come_first_and_others_not_at_all():
    assert graph.with_parents(EDGES, ["moodle"]) == ["debian", "web", "moodle"]


def test_a_shared_parent_comes_once():
    order = graph.with_parents(EDGES, ["moodle", "db"])
    assert sorted(order) == ["db", "debian", "moodle", "web"]
    assert order.index("debian") < order.index("web") < order.index("moodle")
    assert order.index("debian") < order.index("db")


def test_a_parent_without_an_entry_is_from_outside():
    assert graph.with_parents({"web": ["debian:12"]}, ["web"]) == ["debian:12", "web"]

"""Order among images."""

from itertools import pairwise
from random import Random

import pytest

from salt_ubiq.catalogue import graph
from salt_ubiq.errors import UnknownImage

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


SEVEN = {
    "debian": [],
    "ubuntu": [],
    "moodle-web": ["debian"],
    "moodle-app": ["moodle-web"],
    "moodle-cron": ["moodle-app"],
    "moodle-db": ["ubuntu"],
    "mail": ["debian"],
}


def test_without_a_pattern_all_are_selected_parents_first():
    edges = {"app": ["web"], "web": ["debian"], "debian": [], "db": ["debian"]}
    assert graph.select(edges) == ["debian", "web", "app", "db"]


def test_among_equals_the_declared_order_stays():
    edges = {name: ["base"] for name in "zebra ape newt".split()} | {"base": []}
    assert graph.select(edges) == ["base", "zebra", "ape", "newt"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("mail", "mail"),
        ("moodle-*", "moodle-web moodle-app moodle-cron moodle-db"),
        ("*-?[be]b", "moodle-web"),
        ("+moodle-app", "debian moodle-web moodle-app"),
        ("moodle-app+", "moodle-app moodle-cron"),
        ("+moodle-app+", "debian moodle-web moodle-app moodle-cron"),
        ("+moodle-*", "debian ubuntu moodle-web moodle-app moodle-cron moodle-db"),
        ("*u*u+", "ubuntu moodle-db"),
        ("mail mail *ai*", "mail"),
        ("moodle-db mail debian", "debian mail moodle-db"),
        ("moodle-cron debian", "debian moodle-cron"),
    ],
)
def test_selection(patterns, names):
    assert sorted(graph.select(SEVEN, patterns.split())) == sorted(names.split())


def test_what_is_selected_comes_in_build_order_even_with_gaps():
    assert graph.select(SEVEN, ["moodle-cron", "debian"]) == ["debian", "moodle-cron"]


def test_selecting_an_image_does_not_select_what_its_dependents_need_besides():
    edges = {"a": [], "b": [], "both": ["a", "b"]}
    assert graph.select(edges, ["a+"]) == ["a", "both"]


@pytest.mark.parametrize("pattern", ["moodle-wbe", "+moodle-wbe", "moodle-wbe+", "+moodle-wbe+"])
def test_a_name_that_matches_nothing_has_its_near_matches_told(pattern):
    with pytest.raises(UnknownImage, match=r"no image 'moodle-wbe'.*did you mean 'moodle-web'"):
        graph.select(SEVEN, ["mail", pattern])


@pytest.mark.parametrize("pattern", ["", "+", "++", "apache-*"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern):
    with pytest.raises(UnknownImage):
        graph.select(SEVEN, [pattern])


def test_images_from_outside_are_never_selected():
    edges = {"web": ["debian:12"]}
    assert graph.select(edges) == graph.select(edges, ["+web+"]) == ["web"]


def test_dependents_are_all_that_is_built_from_a_name():
    assert graph.dependents(SEVEN, ["moodle-web"]) == ["moodle-app", "moodle-cron"]
    assert graph.dependents(SEVEN, ["moodle-cron", "mail"]) == []


def test_one_of_the_names_is_among_the_dependents_if_it_is_built_from_another():
    assert graph.dependents(SEVEN, ["moodle-web", "moodle-app"]) == ["moodle-app", "moodle-cron"]


def test_the_critical_path_is_the_longest_chain_of_dependents():
    durations = {"debian": 5, "moodle-web": 10, "moodle-app": 20, "mail": 60, "moodle-db": 7}
    assert graph.critical_path(SEVEN, durations, default=1) == {
        "debian": 65,
        "moodle-web": 31,
        "moodle-app": 21,
        "moodle-cron": 1,
        "mail": 60,
        "ubuntu": 8,
        "moodle-db": 7,
    }


def longest(edges, durations, name):
    below = [longest(edges, durations, child) for child in edges if name in edges[child]]
    return durations[name] + max(below, default=0)


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_are_ordered_and_measured_right(seed):
    random = Random(seed)
    names = [f"i{number}" for number in range(12)]
    edges = {
        name: random.sample(names[:number], min(number, random.choice([0, 1, 1, 2, 3])))
        for number, name in enumerate(names)
    }
    edges = dict(random.sample(list(edges.items()), len(edges)))
    durations = {name: random.randint(1, 9) for name in names}

    order = graph.build_order(edges)
    assert sorted(order) == sorted(names)
    assert all(order.index(p) < order.index(name) for name in edges for p in edges[name])
    assert graph.critical_path(edges, durations, 0) == {
        name: longest(edges, durations, name) for name in names
    }
    for name in names:
        above = {other for other in names if name in graph.dependents(edges, [other])}
        assert set(graph.with_parents(edges, [name])) == above | {name}

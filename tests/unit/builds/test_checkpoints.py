"""Where builds of one service go on from after an edit, with builds in which nothing runs."""

from __future__ import annotations

import pytest

from salt_ubiq.builds.layers import CHECKPOINTS
from salt_ubiq.catalogue.models import Service
from salt_ubiq.errors import StatesFailed
from tests.support.layered_builds import PARENT, World

STATES = ("packages", "users", "config", "page")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.seconds = {"packages": 20.0, "users": 1.0, "config": 1.0}
    return made


def service(*mods):
    return Service(name="web", path="", repository="u/web", base="debian", mods=mods or STATES)


def checkpoints(world):
    """The states in each."""
    return [
        tuple(image.config["States"])
        for name, image in world.engine.known.items()
        if name.startswith(f"{CHECKPOINTS}:")
    ]


def edit(world, state, **more):
    """Write a state otherwise, and build; return what was below what was built."""
    count = len(world.built)
    world.written[state] = {"contents": f"written {count}", **more}
    world.build_again(service())
    return [below for _, below in world.built[count:]]


def test_nothing_is_spent_on_a_first_build(world):
    world.build_again(service())
    assert world.built == [(STATES, PARENT.id)]
    assert checkpoints(world) == []


def test_the_first_edit_makes_a_checkpoint_before_it_and_the_next_goes_on_from_there(world):
    world.build_again(service())
    first, second = edit(world, "page")
    assert first == PARENT.id
    assert checkpoints(world) == [("packages", "users", "config")]
    assert edit(world, "page") == [second]
    assert edit(world, "page") == [second]


def test_an_edit_further_up_starts_from_the_parent_and_keeps_no_time_that_is_not_worth_it(world):
    world.build_again(service())
    edit(world, "page")
    assert edit(world, "packages") == [PARENT.id]
    assert len(checkpoints(world)) == 1


def test_a_checkpoint_goes_on_from_an_earlier_one(world):
    world.seconds["config"] = 9.0
    world.build_again(service())
    _, below = edit(world, "config")
    assert checkpoints(world) == [("packages", "users")]
    assert edit(world, "page")[0] == below
    assert ("packages", "users", "config") in checkpoints(world)


def test_states_that_take_no_time_are_worth_no_checkpoint(world):
    world.seconds = {"packages": 2.9}
    world.build_again(service())
    assert edit(world, "page") == [PARENT.id]


def test_after_a_state_that_failed_the_next_try_keeps_what_is_before_it(world):
    world.fails["config"] = "always"
    with pytest.raises(StatesFailed):
        world.build_again(service())
    del world.fails["config"]
    edit(world, "config")
    assert checkpoints(world) == [("packages", "users")]


def test_what_fails_on_a_checkpoint_and_on_the_parent_is_not_tried_twice_again(world):
    world.build_again(service())
    _, checkpoint = edit(world, "page")
    world.fails["page"] = "always"
    for tried in ([checkpoint, PARENT.id], [checkpoint], [checkpoint]):
        count = len(world.built)
        with pytest.raises(StatesFailed):
            edit(world, "page")
        assert [below for _, below in world.built[count:]] == tried


def test_what_fails_on_a_checkpoint_alone_is_built_without_from_then_on(world):
    world.build_again(service())
    _, checkpoint = edit(world, "page")
    world.fails["page"] = "on a layer"
    assert edit(world, "page") == [checkpoint, PARENT.id]
    assert edit(world, "page") == [PARENT.id]


def test_a_state_that_works_a_second_time_is_in_no_checkpoint_any_more(world):
    world.works_again["config"] = 9
    world.build_again(service())
    assert edit(world, "page")[-1] == PARENT.id
    edit(world, "page")
    assert ("packages", "users") in checkpoints(world)
    assert edit(world, "page") != [PARENT.id]


def test_a_state_that_worked_a_second_time_and_is_mended_is_in_a_checkpoint_again(world):
    world.works_again["config"], world.seconds["config"] = 9, 9.0
    world.build_again(service())
    edit(world, "page")
    del world.works_again["config"]
    edit(world, "config")
    edit(world, "page")
    assert edit(world, "page") == [edit(world, "page")[0]]
    assert checkpoints(world).count(("packages", "users", "config")) == 2


def test_a_command_that_runs_each_time_is_in_no_checkpoint(world):
    world.written["config"] = {"state": "cmd", "fun": "run"}
    world.build_again(service())
    edit(world, "page")
    assert checkpoints(world) == [("packages", "users")]


def test_only_so_many_are_kept_and_the_least_used_goes_first(world):
    mods = [f"state{number}" for number in range(6)]
    world.seconds = dict.fromkeys(mods, 9.0)

    def edited(state):
        world.written[state] = {"contents": f"written {len(world.built)}"}
        world.build_again(service(*mods))

    world.build_again(service(*mods))
    for state in reversed(mods):
        edited(state)
    assert sorted(map(len, checkpoints(world))) == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoints": 3}', '{"recipe": {"a": 1}}'])
def test_what_cannot_be_read_of_earlier_builds_counts_as_nothing(world, text):
    world.build_again(service())
    (world.workspace.path / "checkpoints" / "web").write_text(text)
    assert edit(world, "page") == [PARENT.id]

"""What is known of states when Salt ends before them."""

import json
import time

import pytest

from salt_ubiq.builds.state_returns import StateReturns
from salt_ubiq.containers.client import Output
from salt_ubiq.results import States
from tests.unit.returns import FAILED

STATE_PKG = ["python3", "/tmp/salt.docker.x/salt-call", "--", "state.pkg", "a"]


def begun(number, of=3, name="sleep 60"):
    state = {"sls": "web", "id": name, "function": "cmd.run", "name": name}
    return {"begun": {**state, "number": number, "of": of}}


@pytest.fixture
def run():
    return StateReturns(lambda text: text.replace("hunter2", "***"), lambda _: None)


def test_what_begins_is_noted_without_secrets():
    noted = []
    run = StateReturns(lambda text: text.replace("hunter2", "***"), lambda _: None, noted.append)
    run.announced(begun(2, name="login hunter2"))
    assert noted == ["state 2 of 3: web: cmd.run login ***"]


def test_the_state_that_was_ended_is_named_with_the_time_it_has_had(run, monkeypatch):
    run.announced(begun(2))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 83)
    assert run.cut_off("not done after 90 s") == (
        "not done after 90 s: state 2 of 3: web: cmd.run sleep 60, had run for 1 min 23 s"
    )


def test_states_that_have_failed_so_far_are_told(run):
    run.announced(begun(1))
    run.announced({"ended": {"test_|-fails_|-fails_|-nop": FAILED}})
    run.announced(begun(2))
    run.observe(STATE_PKG, Output("", "Salt ended with exit status 137", 137))
    assert run.was_cut_off
    assert (run.states.total, [state["id"] for state in run.states.failed]) == (3, ["fails"])
    assert run.explain() == (
        "Salt ended with exit status 137: "
        "state 2 of 3: web: cmd.run sleep 60, had run for 0 s\n"
        "1 of 3 states failed:\n"
        "  web: fails (test.nop): *** is wrong"
    )


def test_last_words_are_told(run):
    run.announced(begun(1))
    run.observe(STATE_PKG, Output("", "Traceback\nMemoryError: at hunter2", 1))
    assert run.explain().endswith("had run for 0 s; MemoryError: at ***")


def test_between_two_states_the_last_one_is_named(run):
    run.announced(begun(1))
    run.announced({"ended": {"cmd_|-a_|-a_|-run": {**FAILED, "result": True}}})
    assert run.cut_off("killed") == (
        "killed: 1 of 3 states had ended, the last was web: cmd.run sleep 60"
    )


def test_nothing_is_added_before_any_state(run):
    assert run.cut_off("not done after 9 s") == "not done after 9 s"
    assert not run.was_cut_off


def test_a_whole_return_counts_more_than_what_was_said_before(run):
    run.announced(begun(1))
    run.announced({"ended": {"test_|-fails_|-fails_|-nop": FAILED}})
    stdout = json.dumps({"local": {"return": {"test_|-b_|-b_|-nop": {**FAILED, "__id__": "b"}}}})
    run.observe(STATE_PKG, Output(stdout, "", 0))
    assert not run.was_cut_off
    assert [state["id"] for state in run.states.failed] == ["b"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"begun": 3},
        {"begun": {}},
        {"begun": {"number": "x", "of": None, "function": 3}},
        {"ended": []},
        {"ended": {"a": FAILED, "cmd_|-a_|-a_|-run": None}},
    ],
)
def test_what_salt_would_not_say_does_no_harm(run, said):
    run.announced(said)
    assert run.states == States()
    assert run.cut_off("killed").startswith("killed")

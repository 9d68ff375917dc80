"""Builds as jobs of Salt, by a client whose minions do what a test says."""

from __future__ import annotations

import pytest

from salt_ubiq.results import Result
from salt_ubiq.runs.workers import minions
from salt_ubiq.runs.workers.minions import Minion, MinionBuild, MinionExecutor
from tests.unit.runs.salt_client import FakeClient, built

NAMES = ("base", "web", "db", "site")
DONE = {"base": Result("base", "ubiq/base:1", "built")}


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch):
    """Whether minions still run their jobs is asked without waiting for a while first."""
    monkeypatch.setattr(minions, "_LOOK_EVERY", 0.0)


def executor(client, tick=lambda: None, **slots):
    """Of minions with so many slots, that can build everything."""
    return MinionExecutor(
        client,
        [Minion(name, number, frozenset(NAMES)) for name, number in slots.items()],
        {name: build_of(name) for name in NAMES},
        tick,
    )


def build_of(name):
    return MinionBuild(
        function=f"ubiq_docker.build_{'base' if name == 'base' else 'service'}",
        arguments={"force": name == "web"},
        image=f"ubiq/{name}:latest",
    )


def test_an_image_is_a_job_of_the_function_that_builds_it():
    client = FakeClient()
    executing = executor(client, one=2)
    assert executing.start("base", 1, {})
    assert executing.start("web", 1, {})
    assert client.published == [
        ("one", "ubiq_docker.build_base", ["base"], {"force": False}),
        ("one", "ubiq_docker.build_service", ["web"], {"force": True}),
    ]


def test_the_slots_are_those_of_all_minions():
    assert executor(FakeClient(), one=2, other=3).slots == 5


def test_images_go_where_the_least_is_done_for_the_number_of_slots():
    client = FakeClient()
    executing = executor(client, small=1, large=4)
    for name in NAMES:
        assert executing.start(name, 1, {})
    assert client.homes() == [
        ("base", "small"), ("web", "large"), ("db", "large"), ("site", "large"),
    ]  # fmt: skip


def test_without_a_free_slot_an_image_has_to_wait():
    client = FakeClient(returns={"web": None})
    executing = executor(client, one=1)
    assert executing.start("web", 1, {})
    assert not executing.start("db", 1, {})
    client.finish("one", "20260101000000", built("web"))
    assert [result.name for result in executing.wait(1)] == ["web"]
    assert executing.start("db", 1, {})


def test_a_child_is_built_where_its_parent_was_even_if_it_has_to_wait():
    client = FakeClient(returns={"base": built("base")})
    executing = executor(client, one=1, other=5)
    executing.start("base", 1, {})
    executing.wait(1)
    home = dict(client.homes())["base"]
    if home == "other":  # fill it
        for name in ("db", "site"):
            executing.start(name, 1, DONE)
    assert executing.start("web", 1, DONE)
    assert dict(client.homes())["web"] == home


def test_a_child_waits_for_a_slot_at_home_though_another_minion_is_free():
    client = FakeClient(returns={"base": built("base")})
    executing = executor(client, one=1, other=1)
    executing.start("base", 1, {})
    executing.wait(1)
    assert executing.start("web", 1, DONE)
    assert not executing.start("db", 1, DONE)
    assert executing.start("site", 1, {})
    home, elsewhere = dict(client.homes())["web"], dict(client.homes())["site"]
    assert dict(client.homes())["base"] == home != elsewhere


def test_only_a_minion_that_knows_an_image_builds_it():
    client = FakeClient()
    knowing = [Minion("one", 1, frozenset({"web"})), Minion("other", 1, frozenset({"db"}))]
    executing = MinionExecutor(client, knowing, {name: build_of(name) for name in NAMES})
    assert executing.start("db", 1, {})
    assert not executing.start("site", 1, {})
    assert client.homes() == [("db", "other")]


def test_a_return_is_the_result():
    returned = built("web", reasons=["no image"], duration=2.5)
    executing = executor(FakeClient(returns={"web": returned}), one=1)
    executing.start("web", 1, {})
    (result,) = executing.wait(1)
    assert result == Result.from_dict(returned)
    assert result.reasons == ("no image",)


@pytest.mark.parametrize("returned", ["ubiq_docker.build_service is not available", ["a"], 1])
def test_any_other_return_is_a_failure_that_says_so(returned):
    executing = executor(FakeClient(returns={"web": returned}), one=1)
    executing.start("web", 1, {})
    (result,) = executing.wait(1)
    assert (result.name, result.action, result.error) == ("web", "failed", str(returned))


def test_events_of_others_are_passed_over():
    client = FakeClient()
    executing = executor(client, one=1)
    executing.start("web", 1, {})
    jid = "20260101000000"
    client.events.append({"tag": f"salt/job/{jid}/new", "data": {"jid": jid}})
    client.finish("one", "19990101000000", built("web"))
    client.finish("stranger", jid, "a lie")
    client.answers["saltutil.running"] = {"one": [{"jid": jid}]}
    client.finish("one", jid, built("web"))
    (result,) = executing.wait(1)
    assert (result.name, result.action) == ("web", "built")


def test_it_tells_of_the_passing_of_time_while_it_waits():
    ticks = []
    executor(FakeClient(), tick=lambda: ticks.append(1), one=1).wait(0.05)
    assert ticks


def test_waiting_ends_when_the_time_is_up():
    assert executor(FakeClient(), one=1).wait(0.05) == []


# Minions that die


def waited(executing):
    """What comes in, waiting for it not too long."""
    for _ in range(200):
        if results := executing.wait(0.02):
            return results
    raise AssertionError("nothing came")


def test_a_minion_that_does_not_answer_twice_fails_its_images_and_gets_no_more():
    client = FakeClient()
    executing = executor(client, one=2, other=1)
    executing.start("web", 1, {})
    home = dict(client.homes())["web"]
    alive = next(name for name in ("one", "other") if name != home)
    (result,) = waited(executing)
    assert client.asked == 2 * [([home], "saltutil.running", "list")]
    assert (result.name, result.action) == ("web", "failed")
    assert result.error == f"minion {home} does not answer any more"
    assert executing.slots == {"one": 2, "other": 1}[alive]
    assert executing.start("db", 1, {})
    assert dict(client.homes())["db"] == alive


def test_an_image_whose_home_has_died_is_built_elsewhere():
    client = FakeClient(returns={"base": built("base")})
    executing = executor(client, one=1, other=1)
    executing.start("base", 1, {})
    executing.wait(1)
    executing.start("web", 1, DONE)
    waited(executing)
    assert executing.start("db", 1, DONE)
    homes = dict(client.homes())
    assert homes["base"] == homes["web"] != homes["db"]


def test_one_unanswered_look_is_no_death():
    client, answers = FakeClient(), [{}, {"one": [{"jid": "20260101000000"}]}]
    client.answers["saltutil.running"] = lambda: answers.pop(0) if answers else {"one": []}
    executing = executor(client, one=1)
    executing.start("web", 1, {})
    while answers:
        assert executing.wait(0.02) == []
    assert executing.slots == 1


def test_a_job_that_a_minion_twice_does_not_know_is_lost():
    client = FakeClient({"saltutil.running": {"one": [{"jid": "of another"}]}})
    executing = executor(client, one=2)
    executing.start("web", 1, {})
    (result,) = waited(executing)
    assert (result.action, result.error) == ("failed", "minion one lost the job")
    assert client.asked == 2 * [(["one"], "saltutil.running", "list")]
    assert executing.slots == 2


def test_a_return_that_comes_after_the_first_look_counts():
    client = FakeClient({"saltutil.running": {"one": []}})
    executing = executor(client, one=1)
    executing.start("web", 1, {})
    while not client.asked:
        assert executing.wait(0) == []
    client.finish("one", "20260101000000", built("web"))
    (result,) = executing.wait(1)
    assert result.action == "built"


def test_an_idle_minion_is_not_asked():
    client = FakeClient()
    executor(client, one=1).wait(0.05)
    assert client.asked == []


def test_a_minion_that_nothing_can_be_published_to_gets_no_more():
    client = FakeClient(unreachable={"one"})
    executing = executor(client, one=1)
    assert not executing.start("web", 1, {})
    assert executing.slots == 0


# The end


def test_cancelling_ends_the_jobs_of_those_images():
    client = FakeClient()
    executing = executor(client, one=2, other=1)
    for name in ("web", "db", "site"):
        executing.start(name, 1, {})
    homes = dict(client.homes())
    del client.published[:]
    executing.cancel(["web", "site", "base"])
    assert {(minion, fun) for minion, fun, *_ in client.published} == {
        (homes["web"], "saltutil.term_job"),
        (homes["site"], "saltutil.term_job"),
    }
    jids = sorted(arg[0] for *_, arg, _ in client.published)
    assert jids == ["20260101000000", "20260101000002"]


def test_closing_lets_go_of_the_bus():
    client = FakeClient()
    executor(client, one=1).close()
    assert client.is_destroyed


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ({**built("web"), "action": "eaten"}, "returned what is no result: action: "),
        ({**built("web"), "duration": "long"}, "returned what is no result: duration: "),
        ({"action": "built"}, "returned what is no result: name: "),
        (built("db"), "returned the result of another image: db"),
        ({**built("web"), "image": "else:1"}, "returned the result of another image: web"),
        (["built"], "['built']"),
        ("x" * 100_000, "(100000 letters)"),
    ],
)
def test_a_return_that_can_not_be_believed_fails_that_image(returned, told):
    executing = executor(FakeClient(returns={"web": returned}), one=1)
    executing.start("web", 1, {})
    (result,) = executing.wait(1)
    assert (result.name, result.image, result.action) == ("web", "ubiq/web:latest", "failed")
    assert told in result.error
    assert len(result.error) < 3000


@pytest.mark.parametrize(
    "data", [{}, {"id": "one"}, {"id": 1, "jid": 2, "return": {}}, {"jid": "20260101000000"}, "x"]
)
def test_an_event_that_is_no_return_is_passed_over(data):
    client = FakeClient(returns={"web": None})
    executing = executor(client, one=1)
    executing.start("web", 1, {})
    client.events.append({"tag": "salt/job/20260101000000/ret/one", "data": data})
    client.finish("one", "20260101000000", built("web"))
    assert [*executing.wait(0.1), *executing.wait(0.1)] == [Result.from_dict(built("web"))]

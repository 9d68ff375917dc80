"""The states: what they ask for, and what they make of the answers."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from salt_ubiq.states import ubiq_docker as states

WEB, DB = "ubiq/web:latest", "ubiq/db:latest"


class Minion:
    """Salt's functions, which note what they are called with, and return what a test says."""

    def __init__(self):
        self.calls = []
        self.returns = {}

    def __contains__(self, function):
        return True

    def __getitem__(self, function):
        def call(*args, **kwargs):
            self.calls.append((function, args, kwargs))
            returned = self.returns[function]
            if isinstance(returned, Exception):
                raise returned
            return returned

        return call


@pytest.fixture
def minion(monkeypatch):
    minion = Minion()
    monkeypatch.setattr(states, "__salt__", minion, raising=False)
    monkeypatch.setattr(states, "__states__", minion, raising=False)
    monkeypatch.setattr(states, "__opts__", {"test": False}, raising=False)
    return minion


@pytest.fixture
def testing(minion):
    """The same in test mode."""
    states.__opts__["test"] = True
    return minion


def result(action="built", name="web", **more):
    plain = {
        "name": name, "image": f"ubiq/{name}:latest", "action": action, "id": "sha256:new",
        "old_id": "sha256:old", "reasons": ["mods changed"], "error": None, "warnings": [],
    }  # fmt: skip
    if action == "up-to-date":
        plain |= {"id": "sha256:old", "reasons": []}
    return {**plain, **more}


def step(*reasons, name="web"):
    return {"name": name, "image": f"ubiq/{name}:latest", "reasons": list(reasons)}


# One image


@pytest.mark.parametrize(
    ("state", "function"),
    [
        (states.base_built, "ubiq_docker.build_base"),
        (states.service_built, "ubiq_docker.build_service"),
    ],
)
def test_a_built_image_is_a_change_from_the_old_to_the_new_with_its_reasons(
    minion, state, function
):
    minion.returns[function] = result(reasons=["no image", "mods changed"])
    change = {"old": "sha256:old", "new": "sha256:new", "reasons": ["no image", "mods changed"]}
    assert state("web") == {
        "name": "web",
        "result": True,
        "changes": {WEB: change},
        "comment": f"{WEB} is built: no image; mods changed",
    }
    ((called, args, kwargs),) = minion.calls
    assert (called, args) == (function, ("web",))
    assert not any(kwargs.values())


def test_what_is_up_to_date_is_no_change(minion):
    minion.returns["ubiq_docker.build_service"] = result("up-to-date")
    done = states.service_built("web")
    assert (done["result"], done["changes"]) == (True, {})
    assert done["comment"] == f"{WEB} is up to date"


def test_what_came_out_the_same_is_no_change(minion):
    minion.returns["ubiq_docker.build_service"] = result(id="sha256:old")
    assert states.service_built("web")["changes"] == {}


def test_warnings_are_told(minion):
    minion.returns["ubiq_docker.build_service"] = result(warnings=["not converged"])
    assert states.service_built("web")["comment"].splitlines()[1:] == ["not converged"]


def test_arguments_are_passed_on(minion):
    minion.returns = {"ubiq_docker.build_service": result(), "ubiq_docker.build_base": result()}
    states.service_built("web", mods=["web"], base="debian:12", force=True)
    states.base_built("debian", force=True, refresh=True, push=True)
    assert [kwargs for *_, kwargs in minion.calls] == [
        {"mods": ["web"], "base": "debian:12", "force": True},
        {"force": True, "refresh": True, "push": True},
    ]


@pytest.mark.parametrize("state", [states.base_built, states.service_built])
def test_test_mode_says_what_would_be_built_and_why(testing, state):
    testing.returns["ubiq_docker.outlook"] = step("no image", "mods changed")
    assert state("web", force=True) == {
        "name": "web",
        "result": None,
        "changes": {WEB: {"reasons": ["no image", "mods changed"]}},
        "comment": f"{WEB} would be built: no image; mods changed",
    }
    ((called, _, kwargs),) = testing.calls
    assert (called, kwargs["force"]) == ("ubiq_docker.outlook", True)


def test_test_mode_says_what_is_up_to_date(testing):
    testing.returns["ubiq_docker.outlook"] = step()
    done = states.service_built("web")
    assert (done["result"], done["changes"], done["comment"]) == (True, {}, "up to date")


# Many


def declared(**services):
    images = {name: {"allowed_to_fail": allowed} for name, allowed in services.items()}
    return {"bases": {}, "services": images}


def test_all_that_were_built_are_changes(minion):
    minion.returns = {
        "ubiq_docker.build_all": {"web": result(), "db": result("up-to-date", "db")},
        "ubiq_docker.catalogue": declared(web=False, db=False),
    }
    done = states.all_built("images", jobs=2, refresh=True)
    assert (done["result"], set(done["changes"])) == (True, {WEB})
    assert done["comment"].splitlines() == [
        f"{WEB} is built: mods changed",
        f"{DB} is up to date",
    ]
    assert minion.calls[0] == (
        "ubiq_docker.build_all",
        (),
        {"jobs": 2, "force": False, "refresh": True, "push": False},
    )


@pytest.mark.parametrize("images", ["web*", ["web*"], ("web*",)])
def test_some_are_built_by_their_names(minion, images):
    minion.returns = {
        "ubiq_docker.build_all": {"web": result()},
        "ubiq_docker.catalogue": declared(web=False),
    }
    states.all_built("images", images=images)
    assert minion.calls[0][1] == ("web*",)


@pytest.mark.parametrize("allowed", [False, True])
def test_all_fail_where_one_does_that_must_not(minion, allowed):
    failed = result("failed", "web", error="web: 1 of 1 states failed", reasons=[])
    skipped = result("skipped", "site", error="parent web failed", reasons=[])
    minion.returns = {
        "ubiq_docker.build_all": {"web": failed, "site": skipped, "db": result(name="db")},
        "ubiq_docker.catalogue": declared(web=allowed, db=False, site=False),
    }
    done = states.all_built("images")
    assert done["result"] is allowed
    assert set(done["changes"]) == {DB}
    assert "web: failed: web: 1 of 1 states failed" in done["comment"]
    assert "site: skipped: parent web failed" in done["comment"]


def test_in_test_mode_all_that_would_be_built_are_told(testing):
    testing.returns["ubiq_docker.plan"] = [step(), step("no image", name="db")]
    done = states.all_built("images", images=["web", "db"], force=True)
    assert (done["result"], done["changes"]) == (None, {DB: {"reasons": ["no image"]}})
    assert done["comment"] == f"{DB} would be built: no image"
    assert testing.calls == [("ubiq_docker.plan", ("web", "db"), {"force": True, "refresh": False})]
    testing.returns["ubiq_docker.plan"] = [step()]
    assert states.all_built("images")["result"] is True


# In registries


def pushed(digest, old=None, is_new=True):
    return {"digest": digest, "pushed": is_new, "old": old}


def test_what_was_pushed_is_a_change_between_digests(minion):
    minion.returns["ubiq_docker.push"] = {
        "r/web:1": pushed("sha256:b", "sha256:a"),
        "r/web:2": pushed("sha256:b", "sha256:b", is_new=False),
    }
    done = states.pushed("web")
    assert (done["result"], done["comment"]) == (True, "r/web:1 pushed")
    assert done["changes"] == {"r/web:1": {"old": "sha256:a", "new": "sha256:b"}}
    assert minion.calls == [("ubiq_docker.push", ("web",), {"test": False})]


def test_what_the_registry_has_is_no_change(minion):
    minion.returns["ubiq_docker.push"] = {"r/web:1": pushed("sha256:b", "sha256:b", is_new=False)}
    done = states.pushed("any text", images=["web", "db"])
    assert (done["result"], done["changes"]) == (True, {})
    assert done["comment"] == "the registry has them"
    assert minion.calls[0][1] == ("web", "db")


def test_test_mode_says_what_would_be_pushed(testing):
    testing.returns["ubiq_docker.push"] = {"r/web:1": pushed(None, "sha256:a")}
    done = states.pushed("web")
    assert (done["result"], done["comment"]) == (None, "r/web:1 would be pushed")
    assert done["changes"] == {"r/web:1": {"old": "sha256:a", "new": None}}
    assert testing.calls == [("ubiq_docker.push", ("web",), {"test": True})]
    testing.returns["ubiq_docker.push"] = {}
    assert states.pushed("web")["result"] is True


# Not there


def test_tags_that_were_there_are_gone(minion):
    minion.returns["ubiq_docker.remove"] = {"web:1": "sha256:a", "web:2": "sha256:a"}
    done = states.absent("web")
    assert (done["result"], done["comment"]) == (True, "web:1, web:2 removed")
    assert done["changes"]["web:1"] == {"old": "sha256:a", "new": None}


def test_test_mode_says_which_tags_would_go(testing):
    testing.returns["ubiq_docker.remove"] = {"web:1": "sha256:a"}
    done = states.absent("web")
    assert (done["result"], done["comment"]) == (None, "web:1 would be removed")
    assert testing.calls == [("ubiq_docker.remove", ("web",), {"test": True})]


@pytest.mark.parametrize("test", [False, True])
def test_what_is_not_there_is_absent(minion, test):
    states.__opts__["test"] = test
    minion.returns["ubiq_docker.remove"] = {}
    done = states.absent("web")
    assert (done["result"], done["changes"], done["comment"]) == (True, {}, "there is none")


# On a schedule


def test_a_schedule_is_salts_own_with_one_run_at_a_time(minion):
    minion.returns["schedule.present"] = {"result": True, "changes": {"nightly": "added"}}
    states.scheduled("nightly", images="web", refresh=True, cron="0 4 * * *")
    ((called, _, kwargs),) = minion.calls
    assert called == "schedule.present"
    assert kwargs == {
        "name": "nightly", "function": "ubiq_docker.build_all", "job_args": ["web"],
        "job_kwargs": {"refresh": True}, "maxrunning": 1, "cron": "0 4 * * *",
    }  # fmt: skip


def test_a_schedule_that_would_change_is_none_in_test_mode(testing):
    testing.returns["schedule.present"] = {"result": True, "changes": {"nightly": "added"}}
    assert states.scheduled("nightly", minutes=5)["result"] is None
    testing.returns["schedule.present"] = {"result": True, "changes": {}}
    assert states.scheduled("nightly", minutes=5)["result"] is True


# What goes wrong


@pytest.mark.parametrize("error", [CommandExecutionError, SaltInvocationError])
@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize(
    ("state", "functions"),
    [
        (states.base_built, ("build_base", "outlook")),
        (states.service_built, ("build_service", "outlook")),
        (states.all_built, ("build_all", "plan")),
        (states.pushed, ("push", "push")),
        (states.absent, ("remove", "remove")),
    ],
)
def test_a_mistake_or_a_failure_is_a_failed_state_with_its_message(
    minion, error, test, state, functions
):
    states.__opts__["test"] = test
    minion.returns[f"ubiq_docker.{functions[test]}"] = error("no image 'wep': did you mean 'web'")
    failed = state("wep")
    assert (failed["result"], failed["changes"]) == (False, {})
    assert failed["comment"] == "no image 'wep': did you mean 'web'"
    assert failed["skip_watch"] is True


# What watches


@pytest.mark.parametrize(
    ("function", "called"),
    [
        ("base_built", "ubiq_docker.build_base"),
        ("service_built", "ubiq_docker.build_service"),
    ],
)
def test_an_image_that_watches_what_has_changed_is_built_in_any_case(minion, function, called):
    minion.returns[called] = result(reasons=["forced"])
    done = states.mod_watch("web", function, refresh=True, __reqs__={}, __pub_user="root")
    assert done["changes"][WEB]["reasons"] == ["forced"]
    ((_, _, kwargs),) = minion.calls
    assert {key: value for key, value in kwargs.items() if value} == {
        "force": True,
        "refresh": True,
    }


def test_a_push_that_watches_is_just_a_push(minion):
    minion.returns["ubiq_docker.push"] = {}
    assert states.mod_watch("web", "pushed")["result"] is True
    assert minion.calls == [("ubiq_docker.push", ("web",), {"test": False})]

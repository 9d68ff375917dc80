"""The states, applied by Salt's own state system to a real engine."""

from __future__ import annotations

import json

import pytest
import salt._logging

from tests.conftest import BASE, IMAGES
from tests.registry_server import RegistryServer

WEB = f"{IMAGES}web"
DB = f"{IMAGES}db"
NO_IMAGE = f"{IMAGES}none"


def service(name, **more):
    return {"repository": f"{IMAGES}{name}", "base": "test-base", "mods": [name], **more}


@pytest.fixture(scope="module", autouse=True)
def no_log_at_exit():
    """Salt keeps what is logged for a stream that pytest has closed when it comes to it."""
    salt._logging.shutdown_temp_handler()


@pytest.fixture
def two(host):
    """A host with two services."""
    host.file("web.sls", "/srv/web:\n  file.managed\n")
    host.file("db.sls", "/srv/db:\n  file.managed\n")
    host.catalogue(**{"test-web": service("web"), "test-db": service("db")})
    return host


@pytest.fixture
def apply(host):
    """``apply(sls, test=False)``: what the states of a mapping return, by their IDs."""

    def applied(sls, **kwargs):
        host.file("images.sls", "#!json\n" + json.dumps(sls))
        returned = host.call("state.apply", "images", **kwargs)
        assert isinstance(returned, dict), returned
        return {each["__id__"]: each for each in returned.values()}

    return applied


def one(function, *arguments, name="test-web"):
    return {name: {f"ubiq_docker.{function}": list(arguments)}}


def image_id(engine, reference):
    return engine.inspect_image(reference)["Id"]


def test_a_service_is_built_and_then_nothing_is_done(two, apply, engine):
    first = apply(one("service_built"))["test-web"]
    assert first["result"] is True
    built = image_id(engine, WEB)
    assert first["changes"] == {
        f"{WEB}:latest": {"old": None, "new": built, "reasons": ["no image"]}
    }
    assert first["comment"] == f"{WEB}:latest is built: no image"
    again = apply(one("service_built"))["test-web"]
    assert (again["result"], again["changes"]) == (True, {})
    assert again["comment"] == f"{WEB}:latest is up to date"
    assert image_id(engine, WEB) == built


def test_a_change_goes_from_the_old_to_the_new_image_with_its_reason(two, apply, engine):
    apply(one("service_built"))
    old = image_id(engine, WEB)
    two.file("web.sls", "/srv/web:\n  file.managed:\n    - contents: more\n")
    changes = apply(one("service_built"))["test-web"]["changes"][f"{WEB}:latest"]
    assert (changes["old"], changes["new"]) == (old, image_id(engine, WEB))
    assert old != changes["new"]
    assert changes["reasons"] == ["state web: file.managed /srv/web changed"]


def test_a_base_is_up_to_date_or_said_to_be_built(two, apply):
    assert apply(one("base_built", name="test-base"))["test-base"]["changes"] == {}
    forced = apply(one("base_built", {"force": True}, name="test-base"), test=True)["test-base"]
    assert forced["result"] is None
    assert forced["changes"] == {BASE: {"reasons": ["forced"]}}


@pytest.mark.parametrize("function", ["service_built", "all_built"])
def test_test_says_what_would_be_built_and_why_and_builds_nothing(two, apply, engine, function):
    arguments = [{"images": ["test-web"]}] if function == "all_built" else []
    said = apply(one(function, *arguments), test=True)["test-web"]
    assert said["result"] is None
    assert said["changes"] == {f"{WEB}:latest": {"reasons": ["no image"]}}
    assert said["comment"] == f"{WEB}:latest would be built: no image"
    assert not engine.images(WEB)
    apply(one(function, *arguments))
    assert apply(one(function, *arguments), test=True)["test-web"]["result"] is True


def test_test_counts_parents_that_would_be_built(two, apply):
    child = {"repository": f"{IMAGES}child", "base": "test-web", "mods": ["db"]}
    two.catalogue(**{"test-web": service("web"), "test-child": child})
    said = apply(one("service_built", name="test-child"), test=True)["test-child"]
    assert said["changes"] == {f"{IMAGES}child:latest": {"reasons": ["parent test-web is built"]}}


def test_an_image_may_be_declared_in_the_sls(two, apply, engine, run_in):
    sls = one("service_built", {"mods": ["web", "db"]}, {"base": BASE}, {"tag": "1"}, name=DB)
    assert apply(sls, test=True)[DB]["changes"] == {f"{DB}:1": {"reasons": ["no image"]}}
    made = apply(sls)[DB]
    assert made["changes"][f"{DB}:1"]["new"] == image_id(engine, f"{DB}:1")
    assert run_in(f"{DB}:1", "ls", "/srv").split() == ["db", "web"]
    assert apply(sls)[DB]["changes"] == {}


@pytest.mark.parametrize("test", [False, True])
@pytest.mark.parametrize(
    ("sls", "message"),
    [
        (one("service_built", name="test-wep"), "did you mean 'test-web'"),
        (one("base_built", name="test-bass"), "did you mean 'test-base'"),
        (one("all_built", {"images": ["nothing-*"]}), "no image 'nothing-*'"),
        (one("pushed", name="test-wep"), "did you mean 'test-web'"),
        (one("absent", name="test-wep"), "did you mean 'test-web'"),
        (one("service_built", {"mods": ["web"]}, {"base": "nowhere"}, name=NO_IMAGE), "'nowhere'"),
    ],
)
def test_a_mistake_is_a_failed_state_with_the_message(two, apply, sls, message, test):
    (failed,) = apply(sls, test=test).values()
    assert (failed["result"], failed["changes"]) == (False, {})
    assert message in failed["comment"]
    assert "Traceback" not in failed["comment"]


def test_a_build_that_fails_is_a_failed_state_that_names_the_state_in_it(two, apply, engine):
    two.file("web.sls", "'exit 3':\n  cmd.run: []\n")
    failed = apply(one("service_built"))["test-web"]
    assert (failed["result"], failed["changes"]) == (False, {})
    assert "test-web: 1 of 1 states failed:\n  web: exit 3 (cmd.run)" in failed["comment"]
    assert not engine.images(WEB)


def test_all_are_built_and_then_nothing_is_done(two, apply, engine):
    first = apply(one("all_built", {"jobs": 2}, name="images"))["images"]
    assert first["result"] is True
    assert {reference: each["new"] for reference, each in first["changes"].items()} == {
        f"{reference}:latest": image_id(engine, reference) for reference in (WEB, DB)
    }
    again = apply(one("all_built", name="images"))["images"]
    assert (again["result"], again["changes"]) == (True, {})


@pytest.mark.parametrize("allowed", [False, True])
def test_all_fail_where_one_does_that_must_not(two, apply, engine, allowed):
    two.file("web.sls", "'exit 3':\n  cmd.run: []\n")
    web = service("web", allowed_to_fail=allowed)
    two.catalogue(**{"test-web": web, "test-db": service("db")})
    done = apply(one("all_built", name="images"))["images"]
    assert done["result"] is allowed
    assert set(done["changes"]) == {f"{DB}:latest"}
    assert "test-web: failed: " in done["comment"]


def test_some_are_built_by_their_names(two, apply, engine):
    apply(one("all_built", {"images": "test-d*"}, name="images"))
    assert engine.images(DB)
    assert not engine.images(WEB)


def test_an_absent_image_has_no_tag_any_more(two, apply, engine):
    assert apply(one("absent"))["test-web"]["comment"] == "there is none"
    apply(one("service_built"))
    built = image_id(engine, WEB)
    changes = {f"{WEB}:latest": {"old": built, "new": None}}
    said = apply(one("absent"), test=True)["test-web"]
    assert (said["result"], said["changes"]) == (None, changes)
    assert image_id(engine, WEB) == built
    gone = apply(one("absent"))["test-web"]
    assert (gone["result"], gone["changes"]) == (True, changes)
    assert not engine.images(WEB)
    assert apply(one("absent"), test=True)["test-web"]["result"] is True


def test_requisites_hold_between_images(two, apply, engine):
    sls = {
        "note": {"test.succeed_with_changes": [{"onchanges": [{"ubiq_docker": "test-web"}]}]},
        **one("service_built", {"require": [{"ubiq_docker": "test-base"}]}),
        **one("base_built", name="test-base"),
    }
    first = apply(sls)
    assert [id for id, each in sorted(first.items(), key=lambda item: item[1]["__run_num__"])] == [
        "test-base",
        "test-web",
        "note",
    ]
    assert first["note"]["changes"]
    again = apply(sls)
    assert (again["note"]["result"], again["note"]["changes"]) == (True, {})


def test_what_requires_a_build_that_failed_is_not_run(two, apply, engine):
    two.file("web.sls", "'exit 3':\n  cmd.run: []\n")
    sls = {
        **one("service_built"),
        **one("service_built", {"require": [{"ubiq_docker": "test-web"}]}, name="test-db"),
    }
    done = apply(sls)
    assert done["test-db"]["result"] is False
    assert "requisite" in done["test-db"]["comment"]
    assert not engine.images(DB)


@pytest.fixture
def note(tmp_path):
    """``note(text)``: a state that sees to a file that no image depends on."""

    def state(text):
        return {"note": {"file.managed": [{"name": str(tmp_path / "note")}, {"contents": text}]}}

    return state


@pytest.mark.parametrize("requisite", ["watch", "listen"])
def test_what_watches_or_listens_is_built_anew_when_that_changes(two, apply, note, requisite):
    image = one("service_built", {requisite: [{"file": "note"}]})
    apply({**note("one"), **image})
    unchanged = apply({**note("one"), **image})
    assert not any(each["changes"] for each in unchanged.values())
    (changes,) = (
        each["changes"][f"{WEB}:latest"]
        for id, each in apply({**note("two"), **image}).items()
        if id != "note" and each["changes"]
    )
    assert changes["reasons"] == ["forced"]
    assert changes["old"] != changes["new"]


def test_what_watches_and_is_due_is_built_once(two, apply, note, engine):
    image = one("service_built", {"watch": [{"file": "note"}]})
    built = apply({**note("one"), **image})["test-web"]
    assert built["changes"][f"{WEB}:latest"]["reasons"] == ["no image"]


def test_what_watches_and_fails_is_not_tried_again(two, apply, note, tmp_path):
    # Every try adds a byte to a file of the host's.
    two.file("web.sls", "'printf x >>/tried/tries; exit 3':\n  cmd.run: []\n")
    two.catalogue(**{"test-web": service("web", build={"binds": [f"{tmp_path}:/tried"]})})
    failed = apply({**note("one"), **one("service_built", {"watch": [{"file": "note"}]})})
    assert failed["test-web"]["result"] is False
    assert (tmp_path / "tries").read_text() == "x"


def test_a_push_that_listens_comes_last(two, apply, registry):
    listening = one("pushed", {"images": ["test-web"]}, {"listen": [{"ubiq_docker": "test-web"}]})
    done = apply({**one("service_built"), "r": listening["test-web"]})
    assert done["listener_r"]["result"] is True
    assert registry.digest(WEB, "1")


def test_states_in_parallel_build_at_once(two, apply, engine):
    sls = {
        **one("service_built", {"parallel": True}),
        **one("service_built", {"parallel": True}, name="test-db"),
    }
    done = apply(sls)
    for name, reference in (("test-web", WEB), ("test-db", DB)):
        assert done[name]["result"] is True, done[name]
        assert done[name]["changes"][f"{reference}:latest"]["new"] == image_id(engine, reference)


def test_the_same_image_twice_in_parallel_is_built_once(two, apply, engine):
    sls = {
        id: {"ubiq_docker.service_built": [{"name": "test-web"}, {"parallel": True}]}
        for id in ("one", "other")
    }
    done = apply(sls)
    assert all(each["result"] is True for each in done.values()), done
    assert sorted(bool(each["changes"]) for each in done.values()) == [False, True]


def test_all_can_be_built_in_parallel_to_something_else(two, apply, engine):
    sls = {
        **one("all_built", {"parallel": True}, name="images"),
        "else": {"test.succeed_without_changes": [{"parallel": True}]},
    }
    done = apply(sls)
    assert done["images"]["result"] is True, done["images"]
    assert len(done["images"]["changes"]) == 2


@pytest.fixture
def registry(two, tmp_path, engine):
    """A registry that the host's images go to."""
    with RegistryServer(tmp_path / "registry") as server:
        two.pillar(
            {
                "ubiq": {
                    "registry": server.host,
                    "bases": {"test-base": two.base},
                    "services": {"test-web": service("web", tags=["1", "latest"])},
                }
            }
        )
        yield server


def test_an_image_is_pushed_and_then_nothing_is_done(apply, registry, engine):
    apply(one("service_built"))
    references = [f"{registry.host}/{WEB}:{tag}" for tag in ("1", "latest")]
    said = apply(one("pushed"), test=True)["test-web"]
    assert said["result"] is None
    assert set(said["changes"]) == set(references)
    assert registry.digest(WEB, "1") is None
    done = apply(one("pushed"))["test-web"]
    digest = registry.digest(WEB, "1")
    assert digest
    assert done["changes"] == {key: {"old": None, "new": digest} for key in references}
    again = apply(one("pushed"))["test-web"]
    assert (again["result"], again["changes"]) == (True, {})
    assert apply(one("pushed"), test=True)["test-web"]["result"] is True


def test_a_push_that_follows_a_build_has_the_old_and_the_new_digest(two, apply, registry, engine):
    sls = {
        **one("service_built"),
        registry.host: {
            "ubiq_docker.pushed": [
                {"images": ["test-web"]},
                {"onchanges": [{"ubiq_docker": "test-web"}]},
            ]
        },
    }
    apply(sls)
    old = registry.digest(WEB, "1")
    assert apply(sls)[registry.host]["changes"] == {}
    two.file("web.sls", "/srv/web:\n  file.managed:\n    - contents: more\n")
    changes = apply(sls)[registry.host]["changes"]
    assert changes[f"{registry.host}/{WEB}:1"] == {"old": old, "new": registry.digest(WEB, "1")}
    assert old != registry.digest(WEB, "1")


def test_an_image_is_pushed_as_it_is_built(apply, registry, engine):
    apply(one("service_built", {"push": True}))
    assert registry.config_id(WEB, "latest") == image_id(engine, WEB)


def test_a_push_to_a_registry_that_is_gone_is_a_failed_state(apply, registry, engine):
    apply(one("service_built"))
    registry.kill()
    failed = apply(one("pushed"))["test-web"]
    assert failed["result"] is False
    assert registry.host in failed["comment"]

"""The states, applied by Salt's own state system to a real engine."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import suppress

import docker.errors
import pytest
import salt._logging

from tests.conftest import BASE, DEBIAN, IMAGES
from tests.support.registry_server import RegistryServer

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
def two(host, engine):
    """A host with two services, of which there are no images."""
    for name in ("web", "db"):
        with suppress(docker.errors.APIError):
            engine.remove_image(f"{IMAGES}{name}:latest", force=True)
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


def test_a_service_is_built_then_nothing_is_done_and_a_change_is_told_with_its_reason(
    two, apply, engine
):
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
    assert apply(one("service_built"), test=True)["test-web"]["result"] is True
    assert image_id(engine, WEB) == built

    two.file("web.sls", "/srv/web:\n  file.managed:\n    - contents: more\n")
    changes = apply(one("service_built"))["test-web"]["changes"][f"{WEB}:latest"]
    assert (changes["old"], changes["new"]) == (built, image_id(engine, WEB))
    assert built != changes["new"]
    assert changes["reasons"] == ["state web: file.managed /srv/web changed"]


def test_a_base_is_up_to_date_or_said_to_be_built(two, apply):
    assert apply(one("base_built", name="test-base"))["test-base"]["changes"] == {}
    forced = apply(one("base_built", {"force": True}, name="test-base"), test=True)["test-base"]
    assert forced["result"] is None
    assert forced["changes"] == {BASE: {"reasons": ["forced"]}}


def test_test_says_what_would_be_built_and_why_and_builds_nothing(two, apply, engine):
    child = {"repository": f"{IMAGES}child", "base": "test-web", "mods": ["db"]}
    two.catalogue(**{"test-web": service("web"), "test-child": child})
    sls = {
        **one("service_built"),
        **one("all_built", {"images": ["test-web"]}, name="all"),
        **one("service_built", name="test-child"),
        **one("service_built", {"mods": ["web"]}, {"base": BASE}, {"tag": "1"}, name=DB),
    }
    said = apply(sls, test=True)
    for name in ("test-web", "all"):
        assert said[name]["result"] is None
        assert said[name]["changes"] == {f"{WEB}:latest": {"reasons": ["no image"]}}
        assert said[name]["comment"] == f"{WEB}:latest would be built: no image"
    # A parent that would be built counts.
    reasons = ["parent test-web is built"]
    assert said["test-child"]["changes"] == {f"{IMAGES}child:latest": {"reasons": reasons}}
    assert said[DB]["changes"] == {f"{DB}:1": {"reasons": ["no image"]}}
    assert not engine.images(WEB)
    assert not engine.images(DB)


def test_an_image_may_be_declared_in_the_sls(two, apply, engine, run_in):
    arguments = [{"mods": ["web", "db"]}, {"base": BASE}, {"tag": "1"}, {"converged": False}]
    sls = one("service_built", *arguments, name=DB)
    made = apply(sls)[DB]
    assert made["changes"][f"{DB}:1"]["new"] == image_id(engine, f"{DB}:1")
    assert run_in(f"{DB}:1", "ls", "/srv").split() == ["db", "web"]
    assert apply(sls)[DB]["changes"] == {}


MISTAKES = [
    (one("service_built", name="test-wep"), "did you mean 'test-web'"),
    (one("base_built", name="test-bass"), "did you mean 'test-base'"),
    (one("all_built", {"images": ["nothing-*"]}, name="all"), "no image 'nothing-*'"),
    (one("pushed", name="test-wap"), "did you mean 'test-web'"),
    (one("absent", name="test-wet"), "did you mean 'test-web'"),
    (one("service_built", {"mods": ["web"]}, {"base": "nowhere"}, name=NO_IMAGE), "'nowhere'"),
]


@pytest.mark.parametrize("test", [False, True])
def test_a_mistake_is_a_failed_state_with_the_message(two, apply, test):
    done = apply({name: state for sls, _ in MISTAKES for name, state in sls.items()}, test=test)
    for (name,), message in MISTAKES:
        assert (done[name]["result"], done[name]["changes"]) == (False, {})
        assert message in done[name]["comment"]
        assert "Traceback" not in done[name]["comment"]


def test_a_build_that_fails_is_a_failed_state_that_names_the_state_in_it(two, apply, engine):
    two.file("web.sls", "'exit 3':\n  cmd.run: []\n")
    sls = {
        **one("service_built"),
        **one("service_built", {"require": [{"ubiq_docker": "test-web"}]}, name="test-db"),
    }
    done = apply(sls)
    failed = done["test-web"]
    assert (failed["result"], failed["changes"]) == (False, {})
    assert "test-web: 1 of 1 states failed:\n  web: exit 3 (cmd.run)" in failed["comment"]
    assert "kept as" not in failed["comment"]
    assert not engine.images(WEB)
    assert done["test-db"]["result"] is False
    assert not engine.images(DB)


def test_all_are_built_and_then_nothing_is_done(two, apply, engine):
    first = apply(one("all_built", {"jobs": 2}, name="images"))["images"]
    assert first["result"] is True
    assert {reference: each["new"] for reference, each in first["changes"].items()} == {
        f"{reference}:latest": image_id(engine, reference) for reference in (WEB, DB)
    }
    again = apply(one("all_built", name="images"))["images"]
    assert (again["result"], again["changes"]) == (True, {})


def test_an_absent_image_has_no_tag_any_more(two, apply, engine):
    assert apply(one("absent"))["test-web"]["comment"] == "there is none"
    engine.tag(BASE, WEB)
    there = image_id(engine, WEB)
    changes = {f"{WEB}:latest": {"old": there, "new": None}}
    said = apply(one("absent"), test=True)["test-web"]
    assert (said["result"], said["changes"]) == (None, changes)
    assert image_id(engine, WEB) == there
    gone = apply(one("absent"))["test-web"]
    assert (gone["result"], gone["changes"]) == (True, changes)
    assert not engine.images(WEB)
    assert engine.images(BASE)


def test_what_watches_is_built_anew_when_that_changes(two, apply, tmp_path):
    def applied(text):
        note = {"file.managed": [{"name": str(tmp_path / "note")}, {"contents": text}]}
        return apply({"note": note, **one("service_built", {"watch": [{"file": "note"}]})})

    (old,) = applied("one")["test-web"]["changes"].values()
    assert old["reasons"] == ["no image"]
    (new,) = applied("two")["test-web"]["changes"].values()
    assert (new["old"], new["reasons"]) == (old["new"], ["forced"])


def test_states_in_parallel_build_at_once_and_the_same_image_only_once(two, apply, engine):
    twice = {
        name: {"ubiq_docker.service_built": [{"name": "test-web"}, {"parallel": True}]}
        for name in ("one", "other")
    }
    done = apply({**twice, **one("service_built", {"parallel": True}, name="test-db")})
    assert all(each["result"] is True for each in done.values()), done
    assert sorted(bool(done[name]["changes"]) for name in twice) == [False, True]
    change = done["test-db"]["changes"][f"{DB}:latest"]
    assert change["new"] == image_id(engine, DB)
    assert engine.images(WEB)


def test_all_can_be_built_in_parallel_to_something_else(two, apply, engine):
    sls = {
        **one("all_built", {"images": ["test-db"]}, {"parallel": True}, name="images"),
        "else": {"test.succeed_without_changes": [{"parallel": True}]},
    }
    done = apply(sls)
    assert done["images"]["result"] is True, done["images"]
    assert set(done["images"]["changes"]) == {f"{DB}:latest"}


@pytest.fixture
def registry(two, tmp_path, engine):
    """A registry that the host's images go to."""
    with RegistryServer(tmp_path / "registry") as server:
        two.pillar(
            {
                "ubiq": {
                    "registry": server.host,
                    "bases": {"test-base": two.base},
                    "services": {"test-web": service("web", base=DEBIAN, tags=["1", "latest"])},
                }
            }
        )
        yield server


def put(engine, content):
    """Give the service's names to an image with just that in it."""
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            member = tarfile.TarInfo(content)
            tar.addfile(member)
        engine.import_image_from_data(buffer.getvalue(), repository=WEB, tag="1")
    engine.tag(f"{WEB}:1", WEB, "latest")


def test_an_image_is_pushed_and_then_nothing_is_done(apply, registry, engine):
    put(engine, "one")
    references = [f"{registry.host}/{WEB}:{tag}" for tag in ("1", "latest")]
    said = apply(one("pushed"), test=True)["test-web"]
    assert said["result"] is None
    assert set(said["changes"]) == set(references)
    assert registry.digest(WEB, "1") is None
    done = apply(one("pushed"))["test-web"]
    old = registry.digest(WEB, "1")
    assert old
    assert done["changes"] == {key: {"old": None, "new": old} for key in references}
    again = apply(one("pushed"))["test-web"]
    assert (again["result"], again["changes"]) == (True, {})
    assert apply(one("pushed"), test=True)["test-web"]["result"] is True

    put(engine, "another")
    changes = apply(one("pushed"))["test-web"]["changes"]
    new = registry.digest(WEB, "1")
    assert changes == {key: {"old": old, "new": new} for key in references}
    assert old != new


def test_an_image_is_pushed_as_it_is_built(apply, registry, engine):
    apply(one("service_built", {"push": True}))
    assert registry.config_id(WEB, "latest") == image_id(engine, WEB)


def test_a_push_that_the_registry_refuses_is_a_failed_state(two, apply, engine, tmp_path):
    put(engine, "one")
    with RegistryServer(tmp_path / "closed", password=True) as closed:
        two.pillar(
            {
                "ubiq": {
                    "registry": closed.host,
                    "services": {"test-web": service("web", base=BASE)},
                }
            }
        )
        failed = apply(one("pushed"))["test-web"]
    assert failed["result"] is False
    assert f"docker-registries:{closed.host} in pillar" in failed["comment"]

"""The states in Salt's own state system, on a minion whose images are a dictionary."""

from __future__ import annotations

from itertools import count

import pytest
import salt.config
import salt.state
from salt.exceptions import CommandExecutionError

# Salt loads it in the place of the module that builds; what it does is the test's.
MODULE = """
from tests.unit.states import test_requisites


def build_base(name, **kwargs):
    return test_requisites.images.build(name, **kwargs)


build_service = build_base


def push(*names, test=False):
    return test_requisites.images.push(*names)
"""


class Images:
    """
    Builds in no time.

    broken
        the names of those whose builds fail

    built, pushed
        the names of those that were, in order, with whether that was forced
    """

    def __init__(self):
        self.broken = set()
        self.built = []
        self.pushed = []
        self._there = {}
        self._ids = count()

    def build(self, name, force=False, **_):
        old = self._there.get(name)
        reasons = ["forced"] if force else [] if old else ["no image"]
        if reasons:
            self.built.append((name, force))
            if name in self.broken:
                raise CommandExecutionError(f"{name}: 1 of 1 states failed")
            self._there[name] = f"sha256:{next(self._ids)}"
        return {
            "name": name, "image": f"{name}:latest", "reasons": reasons, "warnings": [],
            "id": self._there[name], "old_id": old, "action": "built" if reasons else "up-to-date",
        }  # fmt: skip

    def push(self, *names):
        self.pushed += names
        return {}


images = Images()


@pytest.fixture(scope="module")
def minion(tmp_path_factory):
    """Salt's state system, with a directory for files; its modules are loaded once."""
    root = tmp_path_factory.mktemp("minion")
    modules = root / "extmods" / "modules"
    modules.mkdir(parents=True)
    (modules / "ubiq_docker.py").write_text(MODULE)
    opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
    opts = {
        **opts,
        "root_dir": str(root), "cachedir": str(root / "cache"), "file_client": "local",
        "extension_modules": str(root / "extmods"), "file_roots": {"base": [str(root)]},
        "pillar": {}, "grains": {"os": "Debian"},
    }  # fmt: skip
    return salt.state.State(opts)


@pytest.fixture
def apply(minion, tmp_path, monkeypatch):
    """``apply(sls)``: what the states of a mapping return, by their IDs."""
    monkeypatch.setattr("tests.unit.states.test_requisites.images", Images())

    def applied(sls):
        high = {}
        for place, (name, declared) in enumerate(sls.items()):
            ((function, arguments),) = declared.items()
            module, _, function = function.partition(".")
            order = {"order": 10000 + place}
            high[name] = {"__sls__": "x", "__env__": "base", module: [function, *arguments, order]}
        returned = minion.call_high(high)
        assert isinstance(returned, dict), returned
        return {each["__id__"]: each for each in returned.values()}

    return applied


def service(*requisites, name="web"):
    return {name: {"ubiq_docker.service_built": list(requisites)}}


@pytest.fixture
def note(tmp_path):
    """``note(text)``: a state that sees to a file that no image depends on."""

    def state(text):
        return {"note": {"file.managed": [{"name": str(tmp_path / "note")}, {"contents": text}]}}

    return state


def in_order(done):
    return [name for name, _ in sorted(done.items(), key=lambda item: item[1]["__run_num__"])]


def test_requisites_hold_between_images(apply):
    sls = {
        "told": {"test.succeed_with_changes": [{"onchanges": [{"ubiq_docker": "web"}]}]},
        **service({"require": [{"ubiq_docker": "base"}]}),
        "base": {"ubiq_docker.base_built": []},
    }
    first = apply(sls)
    assert in_order(first) == ["base", "web", "told"]
    assert first["told"]["changes"]
    again = apply(sls)
    assert (again["told"]["result"], again["told"]["changes"]) == (True, {})
    assert images.built == [("base", False), ("web", False)]


def test_what_requires_a_build_that_failed_is_not_run(apply):
    images.broken.add("web")
    done = apply({**service(), **service({"require": [{"ubiq_docker": "web"}]}, name="db")})
    assert done["web"]["result"] is done["db"]["result"] is False
    assert done["web"]["comment"] == "web: 1 of 1 states failed"
    assert "requisite" in done["db"]["comment"]
    assert images.built == [("web", False)]


@pytest.mark.parametrize("requisite", ["watch", "listen"])
def test_what_watches_or_listens_is_built_anew_when_that_changes(apply, note, requisite):
    image = service({requisite: [{"file": "note"}]})
    apply({**note("one"), **image})
    del images.built[:]
    unchanged = apply({**note("one"), **image})
    assert not any(each["changes"] for each in unchanged.values())
    assert images.built == []
    done = apply({**note("two"), **image})
    (changes,) = (
        each["changes"]["web:latest"]
        for name, each in done.items()
        if name != "note" and each["changes"]
    )
    assert (changes["reasons"], images.built) == (["forced"], [("web", True)])
    assert changes["old"] != changes["new"]


def test_what_watches_and_is_due_is_built_once(apply, note):
    done = apply({**note("one"), **service({"watch": [{"file": "note"}]})})
    assert done["web"]["changes"]["web:latest"]["reasons"] == ["no image"]
    assert images.built == [("web", False)]


def test_what_watches_and_fails_is_not_tried_again(apply, note):
    images.broken.add("web")
    failed = apply({**note("one"), **service({"watch": [{"file": "note"}]})})
    assert failed["web"]["result"] is False
    assert images.built == [("web", False)]


def test_a_push_that_listens_comes_last(apply):
    listening = [{"images": ["web"]}, {"listen": [{"ubiq_docker": "web"}]}]
    sls = {"registry": {"ubiq_docker.pushed": listening}, **service(), **service(name="db")}
    done = apply(sls)
    assert done["listener_registry"]["result"] is True
    assert in_order(done)[-1] == "listener_registry"
    assert images.pushed == ["web", "web"]

"""
Builds that nobody starts by hand: a highstate, schedules and a webhook, with a real
master, minion, salt-api and registry. Everything listens on the loopback.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import DEBIAN, IMAGES
from tests.integration.daemons.conftest import PASSWORD, USER, service
from tests.support.registry_server import RegistryServer
from tests.support.waiting import until

SALT_CALL = str(Path(sys.executable).parent / "salt-call")
WEB, DB = f"{IMAGES}web", f"{IMAGES}db"


@pytest.fixture(autouse=True)
def web_and_db(daemons):
    daemons.state("web.sls", "/srv/web:\n  file.managed\n")
    daemons.state("db.sls", "/srv/db:\n  file.managed\n")
    daemons.pillar(**{"test-web": service("web"), "test-db": service("db")})


def image_id(engine, reference):
    return engine.inspect_image(reference)["Id"]


# A highstate


def test_a_highstate_builds_and_then_does_nothing(daemons, engine):
    sls = {"test-web": {"ubiq_docker.service_built": []}}
    said = daemons.highstate(sls, test=True)["test-web"]
    assert said["result"] is None
    assert said["comment"] == f"{WEB}:latest would be built: no image"
    assert not engine.images(WEB)
    made = daemons.highstate(sls)["test-web"]
    assert made["result"] is True
    assert made["changes"] == {
        f"{WEB}:latest": {"old": None, "new": image_id(engine, WEB), "reasons": ["no image"]}
    }
    again = daemons.highstate(sls)["test-web"]
    assert (again["result"], again["changes"]) == (True, {})


def with_requisites(note):
    """Two images at once, of which one is watched, after a base."""
    return {
        "test-base": {"ubiq_docker.base_built": []},
        "test-web": {
            "ubiq_docker.service_built": [
                {"require": [{"ubiq_docker": "test-base"}]},
                {"parallel": True},
            ]
        },
        "test-db": {"ubiq_docker.service_built": [{"parallel": True}]},
        note: {"test.succeed_with_changes": [{"onchanges": [{"ubiq_docker": "test-web"}]}]},
        "listener": {"test.succeed_without_changes": [{"watch": [{"ubiq_docker": "test-web"}]}]},
    }


def test_a_highstate_keeps_requisites_and_builds_in_parallel(daemons, engine):
    first = daemons.highstate(with_requisites("note"))
    assert {id: each["result"] for id, each in first.items()} == dict.fromkeys(first, True)
    assert first["test-web"]["changes"][f"{WEB}:latest"]["new"] == image_id(engine, WEB)
    assert first["test-db"]["changes"][f"{DB}:latest"]["new"] == image_id(engine, DB)
    assert first["note"]["changes"]
    again = daemons.highstate(with_requisites("note"))
    assert not [id for id, each in again.items() if each["changes"]]


def test_salt_call_local_applies_the_same_states(daemons, master, minion, tmp_path, engine):
    daemons.state("local.sls", "#!json\n" + json.dumps(with_requisites("note")))
    command = [
        *(SALT_CALL, "--config-dir", minion.config_dir, "--local", "--out=json"),
        *("--file-root", str(master.state_tree.base.write_path)),
        *("--pillar-root", str(master.pillar_tree.base.write_path)),
        *("state.apply", "local"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    states = daemons.states_of(json.loads(done.stdout)["local"])
    assert states["test-web"]["changes"][f"{WEB}:latest"]["new"] == image_id(engine, WEB)
    assert states["test-db"]["changes"][f"{DB}:latest"]["new"] == image_id(engine, DB)


# Schedules


def test_a_schedule_builds_again_and_again_one_run_at_a_time(daemons, events, engine):
    daemons.state("web.sls", "sleep 4:\n  cmd.run: []\n")
    sls = {
        "often": {
            "ubiq_docker.scheduled": [
                {"images": ["test-web"]},
                {"force": True},
                {"seconds": 2},  # less than a build takes
                {"returner": "rawfile_json"},
            ]
        }
    }
    said = daemons.highstate(sls, test=True)["often"]
    assert "often" not in daemons.call("schedule.list", return_yaml=False)
    assert said["changes"] == {"often": "added"}
    assert said["result"] is None
    try:
        assert daemons.highstate(sls)["often"]["result"] is True
        assert daemons.highstate(sls)["often"]["changes"] == {}
        most = 0

        def two_returns():
            nonlocal most
            builds = engine.containers(filters={"label": "org.salt-ubiq.image=test-web"})
            most = max(most, len(builds))
            return len(daemons.returned("often")) >= 2

        until(two_returns)
    finally:
        daemons.call("schedule.delete", "often")
    until(lambda: not daemons.call("saltutil.running"))
    builds = [each["return"]["test-web"] for each in daemons.returned("often")]
    assert {each["action"] for each in builds} == {"built"}
    assert [each["old_id"] for each in builds[1:]] == [each["id"] for each in builds[:-1]]
    assert builds[-1]["id"] == image_id(engine, WEB)
    assert most == 1
    tags = [event["tag"] for event in events.seen]
    assert sum(tag.endswith("/test-web/built") for tag in tags) == len(builds)


def test_schedules_in_pillar_that_overlap_build_an_image_once(daemons, events, engine):
    daemons.state("web.sls", "sleep 4:\n  cmd.run: []\n")
    job = {
        "function": "ubiq_docker.build_all",
        "args": ["test-web"],
        "seconds": 3,
        "maxrunning": 1,
        "returner": "rawfile_json",
    }
    schedule = {"one": job, "other": {**job, "jid_include": True}}
    daemons.pillar(schedule=schedule, **{"test-web": service("web")})
    until(lambda: daemons.returned("one") and daemons.returned("other"))
    daemons.pillar(**{"test-web": service("web")})
    until(lambda: not daemons.call("saltutil.running"))
    results = [each["return"]["test-web"] for name in schedule for each in daemons.returned(name)]
    assert sorted({each["action"] for each in results}) == ["built", "up-to-date"]
    assert sum(each["action"] == "built" for each in results) == 1
    returns = [event["data"] for event in events.seen if "/ret/" in event["tag"]]
    assert {each.get("schedule") for each in returns} >= {"one", "other"}


# The webhook


class Api:
    """salt-api, as a client of it sees it."""

    def __init__(self, config, crt):
        self._url = f"https://127.0.0.1:{config['rest_cherrypy']['port']}"
        context = ssl.create_default_context(cafile=str(crt))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def login(self, password=PASSWORD):
        """A token."""
        credentials = {"username": USER, "password": password, "eauth": "file"}
        answer = self.post("/login", json.dumps(credentials))
        assert answer[0] == 200, answer
        return answer[1]["return"][0]["token"]

    def post(self, path, body, token=None, kind="application/json"):
        """The status, and the answer where there is one."""
        headers = {"Content-Type": kind, "Accept": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        request = urllib.request.Request(self._url + path, body.encode(), headers)
        try:
            with self._opener.open(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as exc:
            return exc.code, None


@pytest.fixture(scope="module")
def api(master, certificate):
    with master.salt_api_daemon().started(start_timeout=120):
        yield Api(master.config, certificate[0])


@pytest.fixture
def registry(daemons, tmp_path):
    """A registry that the minions' images go to."""
    with RegistryServer(tmp_path / "registry") as server:
        web = service("web", DEBIAN)  # small to push
        daemons.pillar(registry=server.host, **{"test-web": web, "test-db": service("db")})
        yield server


HOOK = "/hook/ubiq/build"
UNKNOWN = json.dumps({"images": ["test-unknown"]})


def runners(events, suffix):
    """The data of what runners have sent of themselves."""
    return [
        event["data"]
        for event in list(events.seen)
        if event["tag"].startswith("salt/run/") and event["tag"].endswith(suffix)
    ]


def ordered(events, count=1):
    """Wait for the returns of that many orders, and return them."""
    return until(lambda: (found := runners(events, "/ret")) and len(found) >= count and found)


def test_a_post_rebuilds_an_image_and_pushes_it_with_a_new_digest(
    daemons, api, registry, events, engine, run_in
):
    order = json.dumps({"images": ["test-web"], "push": True})
    token = api.login()
    assert api.post(HOOK, order, token) == (200, {"success": True})
    (first,) = ordered(events)
    assert first["success"] is True, first
    assert first["fun"] == "runner.ubiq.hook"
    old = registry.digest(WEB, "latest")
    assert old
    daemons.state("web.sls", "/srv/web:\n  file.managed:\n    - contents: newer\n")
    assert api.post(HOOK, order, token)[0] == 200
    second = ordered(events, 2)[1]["return"]["images"]["test-web"]
    assert second["action"] == "built"
    assert second["reasons"] == ["state web: file.managed /srv/web changed"]
    new = registry.digest(WEB, "latest")
    assert new != old
    assert [each["digest"] for each in second["pushed"]] == [new]
    assert registry.config_id(WEB, "latest") == image_id(engine, WEB) == second["id"]
    assert run_in(WEB, "cat", "/srv/web") == "newer"
    assert not engine.images(DB)


@pytest.mark.parametrize(
    ("body", "kind", "with_token", "status"),
    [
        ('{"images": ["test-web"]}', "application/json", False, 401),
        ('{"images": ["test-web"', "application/json", False, 401),
        ('{"images": ["test-web"', "application/json", True, 400),
        ("images: test-web", "application/json", True, 400),
        ("<images/>", "application/xml", True, 406),
    ],
)
def test_a_call_that_is_not_logged_in_or_not_json_starts_nothing(
    daemons, api, events, engine, body, kind, with_token, status
):
    token = api.login()
    assert api.post(HOOK, body, token if with_token else None, kind)[0] == status
    # What comes after it is all that there is.
    assert api.post(HOOK, UNKNOWN, token)[0] == 200
    (only,) = ordered(events)
    assert "test-unknown" in only["return"]
    assert [event["tag"] for event in events.seen if "/hook/" in event["tag"]] == [
        "salt/netapi/hook/ubiq/build"
    ]
    assert not engine.images(WEB)


def test_a_wrong_token_or_password_is_not_let_in(daemons, api, events):
    assert api.post(HOOK, UNKNOWN, 40 * "0")[0] == 401
    credentials = {"username": USER, "password": "guessed", "eauth": "file"}
    assert api.post("/login", json.dumps(credentials))[0] == 401
    assert not runners(events, "/new")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (UNKNOWN, "application/json", "no image 'test-unknown' in the catalogue"),
        ('{"images": ["test-web", "test-unknown"]}', "application/json", "no image 'test-unknown'"),
        ('{"images": ["test-*"]}', "application/json", "images:0: write the whole name"),
        ("{}", "application/json", "images: missing"),
        ('{"images": ["test-web"], "tgt": "*"}', "application/json", "'tgt': unknown key"),
        (
            '{"fun": "cmd.run", "arg": ["touch /tmp/x"], "client": "runner"}',
            "application/json",
            "'fun': unknown key",
        ),
        (
            json.dumps({"images": ["x\n    - data: {}\nother:\n  runner.test.arg: []"]}),
            "application/json",
            "images:0: write the whole name",
        ),
        ("{\"images\": [\"{{ salt['cmd.run']('id') }}\"]}", "application/json", "images:0: "),
        ("images=test-web", "application/x-www-form-urlencoded", "images: "),
        ("test-web", "text/plain", "the body: write a mapping"),
    ],
)
def test_an_order_that_is_not_valid_starts_nothing(
    daemons, api, events, engine, body, kind, message
):
    assert api.post(HOOK, body, api.login(), kind) == (200, {"success": True})
    (refused,) = ordered(events)
    assert (refused["fun"], refused["success"]) == ("runner.ubiq.hook", False)
    assert message in refused["return"]
    assert "Traceback" not in refused["return"]
    assert {each["fun"] for each in runners(events, "/new")} == {"runner.ubiq.hook"}
    assert not [event["tag"] for event in events.seen if event["tag"].startswith("salt/ubiq/")]
    assert not engine.images(WEB)


def test_a_refused_order_is_in_the_masters_log(daemons, api, events, master):
    api.post(HOOK, UNKNOWN, api.login())
    ordered(events)
    log = Path(master.config["log_file"])
    until(lambda: "the order of a webhook is refused: no image 'test-unk" in log.read_text(), 10)


def test_the_login_of_the_webhook_may_run_no_function(daemons, api, events):
    token = api.login()
    for client in ("runner", "local", "wheel", "runner_async", "local_async"):
        low = {"client": client, "tgt": "*", "fun": "test.arg", "arg": ["x"]}
        assert api.post("/", json.dumps([low]), token)[0] >= 400
    assert not runners(events, "/new")

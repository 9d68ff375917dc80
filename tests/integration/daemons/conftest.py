"""One real master, with the config that docs/ has for webhooks, and two minions for all tests."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import salt.client
import salt.utils.event
import salt.utils.yaml
from pytestshellutils.utils.ports import get_unused_localhost_port
from saltfactories.utils import random_string

from tests.conftest import BASE, BASE_DECLARATION, IMAGES
from tests.support.certificates import self_signed
from tests.support.repository import REPOSITORY

WEBHOOK = REPOSITORY / "docs" / "webhook"
USER, PASSWORD = "ubiq-ci", "a long random text"


OTHER = {"repository": f"{IMAGES}other-base", "dockerfile": "salt://other"}


def service(name, base="test-base", mods=None):
    """The declaration of a service that one SLS of its own makes, or those."""
    return {"repository": f"{IMAGES}{name}", "base": base, "mods": mods or [name]}


@pytest.fixture(scope="package")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="package")
def master(salt_factories, certificate, tmp_path_factory):
    """A master with the config that docs/ has for webhooks, its places being the test's."""
    crt, key = certificate
    users = tmp_path_factory.mktemp("master") / "users"
    users.write_text(f"{USER}:{hashlib.sha512(PASSWORD.encode()).hexdigest()}\n")
    config = salt.utils.yaml.safe_load((WEBHOOK / "master.conf").read_text())
    config["rest_cherrypy"] |= {
        "host": "127.0.0.1",
        "port": get_unused_localhost_port(),
        "ssl_crt": str(crt),
        "ssl_key": str(key),
    }
    config["external_auth"]["file"]["^filename"] = str(users)
    ((tag, _),) = config["reactor"][0].items()
    config["reactor"] = [{tag: [str(WEBHOOK / "ubiq.sls")]}]
    overrides = {
        **config,
        "interface": "127.0.0.1",
        "auto_accept": True,
        "fileserver_list_cache_time": 0,
    }
    factory = salt_factories.salt_master_daemon(random_string("master-"), overrides=overrides)
    with factory.started(start_timeout=120):
        target = Path(factory.state_tree.base.write_path, "_docker")
        shutil.copytree(REPOSITORY / "_docker", target)
        yield factory
        shutil.rmtree(target)


@pytest.fixture(scope="package")
def minions(master, tmp_path_factory):
    """Two that build; the first writes what its schedules return to a file."""
    with ExitStack() as stack:
        factories = []
        for _ in range(2):
            returns = tmp_path_factory.mktemp("minion") / "returns"
            overrides = {"rawfile_json.filename": str(returns), "loop_interval": 1}
            name = random_string("builder-")
            factory = master.salt_minion_daemon(name, overrides=overrides)
            stack.enter_context(factory.started(start_timeout=120))
            stack.callback(shutil.rmtree, factory.config["cachedir"], ignore_errors=True)
            factories.append(factory)
        yield factories


@pytest.fixture(scope="package")
def minion(minions):
    """The first of them."""
    return minions[0]


class Daemons:
    """The master with two minions: what they have, and are asked for."""

    def __init__(self, master, minions):
        self.client = salt.client.LocalClient(mopts=dict(master.config))
        self._states = Path(master.state_tree.base.write_path)
        self._pillar = Path(master.pillar_tree.base.write_path)
        self._minions = [minion.id for minion in minions]
        self._known = None
        self.state("other/Dockerfile", f"FROM {BASE}\n")
        self.returns = Path(minions[0].config["rawfile_json.filename"])

    def state(self, path, text):
        """Write a file of the file server."""
        target = self._states / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def pillar(self, registry=None, schedule=None, bases=None, more=None, **services):
        """Set it, and let the minions know; of a schedule the first alone."""
        images = {
            "defaults": {"converged": False},
            "bases": {"test-base": BASE_DECLARATION, **(bases or {})},
            "services": services,
            "pillar_keys": {"web": ["web"], "db": []},  # a schedule in pillar is nothing to them
        }
        if registry:
            images["registry"] = registry
        files = {
            "top.sls": f"base: {{'*': [all], {self._minions[0]}: [first]}}\n",
            "all.sls": "#!json\n" + json.dumps({"ubiq": images, **(more or {})}),
            "first.sls": "#!json\n" + json.dumps({"schedule": schedule or {}}),
        }
        if files == self._known:
            return
        for name, text in files.items():
            (self._pillar / name).write_text(text)
        done = self.client.cmd(
            self._minions, "saltutil.refresh_pillar", kwarg={"wait": True}, tgt_type="list"
        )
        assert done == dict.fromkeys(self._minions, True)
        self._known = files

    def highstate(self, sls, **kwargs):
        """What the states return, by their IDs."""
        self.state("top.sls", "base: {'*': [images]}\n")
        self.state("images.sls", "#!json\n" + json.dumps(sls))
        return self.states_of(self.call("state.highstate", **kwargs))

    @staticmethod
    def states_of(returned):
        assert isinstance(returned, dict), returned
        return {each["__id__"]: each for each in returned.values()}

    def call(self, function, *args, **kwargs):
        """What the first minion returns."""
        return self.call_of(self._minions[0], function, *args, **kwargs)

    def call_of(self, minion, function, *args, **kwargs):
        """What a minion returns."""
        return self.client.cmd(minion, function, args, kwarg=kwargs, timeout=180)[minion]

    def begin(self, function, *args):
        """Have the first minion begin with that."""
        assert self.client.cmd_async(self._minions[0], function, args)

    def returned(self, job):
        """What the file has that the returner writes, of a scheduled job."""
        lines = self.returns.read_text().splitlines() if self.returns.exists() else ()
        return [each for each in map(json.loads, lines) if each["schedule"] == job]


@pytest.fixture(scope="package")
def the_daemons(master, minions, base):
    return Daemons(master, minions)


@pytest.fixture
def daemons(the_daemons, images):
    """The master's files and pillar, as the test before has left them; no image of that is left."""
    return the_daemons


class Events:
    """The events of a master's bus from now on."""

    def __init__(self, config):
        self._bus = salt.utils.event.get_master_event(config, config["sock_dir"], listen=True)
        self._end = False
        self.seen = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        while not self._end:
            event = self._bus.get_event(wait=0.3, full=True)
            if event:
                self.seen.append(event)

    def close(self):
        time.sleep(1)
        self._end = True
        self._thread.join()
        self._bus.destroy()


@pytest.fixture
def events(master):
    """The events of the master's bus from now on."""
    events = Events(dict(master.config))
    yield events
    events.close()

"""A minion without any master, which builds on its schedule."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IMAGES
from tests.support.waiting import until

IMAGE = f"{IMAGES}web"
BIN = Path(sys.executable).parent
SALT_CALL = (BIN / "salt-call", "--local", "--out=json", "--log-level=warning")


@pytest.fixture
def minion(host, tmp_path_factory):
    """A minion's daemon with the host's files and pillar; it builds at once."""
    host.catalogue(**{"test-web": {"repository": IMAGE, "base": "test-base", "mods": ["web"]}})
    host.file("web.sls", "/srv/page:\n  file.managed\n")
    etc = host.states.parent / "etc"
    etc.mkdir()
    job = {"function": "ubiq_docker.build_all", "hours": 1, "maxrunning": 1}
    config = {
        "id": "host",
        "root_dir": str(host.states.parent / "root"),
        # The path of a socket has at most 107 letters.
        "sock_dir": str(tmp_path_factory.mktemp("minion")),
        "master_type": "disable",
        "file_client": "local",
        "file_roots": {"base": [str(host.states)]},
        "pillar_roots": {"base": [str(host.pillar_root)]},
        "schedule": {"images": job},
    }
    (etc / "minion").write_text(json.dumps(config))
    daemon = subprocess.Popen(
        [BIN / "salt-minion", "--config-dir", etc],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield etc
    daemon.terminate()
    daemon.wait(30)


def test_what_is_scheduled_is_built_and_recorded(minion, engine):
    until(lambda: engine.images(IMAGE))

    def recorded():
        done = subprocess.run(
            [*SALT_CALL, "--config-dir", minion, "ubiq_docker.runs"],
            capture_output=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)["local"]

    (record,) = until(recorded)
    assert record["summary"] == "1 built, 1 up to date"

"""A secret of pillar is in the file that a state writes, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import logging
import tarfile
import tempfile
import urllib.parse
import uuid
from pathlib import Path

import docker.types
import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import IMAGES, volume_names

WEB = f"{IMAGES}web"
FILES = {"/srv/secret", "/srv/key"}
STATES = """
    /srv/secret:
      file.managed:
        - contents_pillar: db:password
        - show_changes: false
    /srv/key:
      file.managed:
        - contents_pillar: db:private_key
        - show_changes: false
    'test -n "{{ pillar['db']['password'] }}"':
      cmd.run: []
    """
FAILING = {
    "a state": "'echo {{ pillar['db']['password'] }} | tee /dev/stderr; exit 3':\n  cmd.run: []\n",
    "a file": "/srv/no/such/directory:\n  file.managed:\n    - contents_pillar: db:private_key\n",
    "the SLS": "/srv/x:\n  file.managed: {{ pillar['db']['password'] }}: [\n",
    "other spellings": (
        "show:\n  cmd.run:\n    - name: |\n        cat <<'EOF'\n"
        "        {{ pillar['app']['motto'] }} {{ pillar['app']['greeting'] }}\n"
        + "".join(
            f"        {{{{ pillar['app']['dsn'] | {each} }}}}\n"
            for each in ("json", "yaml_dquote", "quote", "urlencode", "base64_encode")
        )
        + "        EOF\n        exit 3\n"
    ),
    "a template": (
        "/srv/x:\n  file.managed:\n    - template: jinja\n    - contents: |\n"
        "        {{ pillar['db']['password'] }}\n        {{ '{{ 1/0 }}' }}\n"
    ),
}


def spelled(text):
    """A secret as templates write it."""
    quoted = json.dumps(text)[1:-1]
    return [text, quoted, urllib.parse.quote(text), base64.b64encode(text.encode()).decode()]


class Everywhere:
    """What a build leaves on the host and on the engine, searched for secrets."""

    def __init__(self, host, engine, directory, logged):
        self.host = host
        self.engine = engine
        self.directory = directory
        self.logged = logged
        self.events = directory / "events"
        self.password = f"pw-{uuid.uuid4().hex}"
        self.key = [f"key-{uuid.uuid4().hex}" for _ in range(3)]
        self.in_url = f"p\"{uuid.uuid4().hex}'ä&"
        self.motto = "correct horse battery"  # looks like nothing, and is named
        self.secrets = [self.password, *self.key, self.motto, *spelled(self.in_url)]

    def declare(self, **more):
        service = {"repository": WEB, "base": "test-base", "mods": ["web"], "keep_failed": True}
        catalogue = {
            "bases": {"test-base": self.host.base},
            "services": {
                "test-web": {**service, **more},
                "test-other": {**service, "repository": f"{IMAGES}other", "mods": ["web", "other"]},
            },
        }
        app = {"dsn": f"pg://u:{self.in_url}@db/x", "motto": self.motto, "greeting": "hello"}
        catalogue["secrets"] = ["app:motto"]
        pillar = {"db": {"password": self.password, "private_key": "\n".join(self.key)}, "app": app}
        self.host.pillar({"ubiq": catalogue, **pillar})

    def hold_nothing(self, *texts):
        """Look at texts, and at all that is kept of builds."""
        for text in (*texts, *self._of_images(), *self.logged()):
            self._is_clean(str(text), "a text")
        for path in [*self.host.cachedir.rglob("*"), *self.directory.rglob("*")]:
            if path.is_file() and self.host.pillar_root not in path.parents:
                self._is_clean(path.read_bytes().decode("latin-1"), path)
        for path in self._kept():
            others = path.stat().st_mode & 0o077
            assert not others, path
        workspace = (self.host.cachedir / "ubiq" / "id").read_text()
        for name in volume_names(self.engine):
            if workspace in name:
                assert self.files(name, volume=True) == set()

    def files(self, name, volume=False):
        """The files in an image, or in a volume, that have a secret in them."""
        mount = docker.types.Mount("/searched", name) if volume else None
        container = self.engine.create_container(
            f"{IMAGES}debian-python:12" if volume else name,
            ["true"],
            host_config=self.engine.create_host_config(mounts=[mount] if mount else []),
        )
        try:
            chunks, _ = self.engine.get_archive(container, "/searched" if volume else "/")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                return {
                    each.name
                    for each in tar
                    if each.isreg() and self._has_secret(tar.extractfile(each).read())
                }
        finally:
            self.engine.remove_container(container, v=True)

    def _has_secret(self, data):
        return any(secret.encode() in data for secret in self.secrets)

    def _kept(self):
        """All of the workspace but what Salt itself writes while it builds."""
        workspace = self.host.cachedir / "ubiq"
        for path in workspace.rglob("*"):
            inside = path.relative_to(workspace).parts
            if not path.is_symlink() and "cache" not in inside and "thin" not in inside[0]:
                yield path
        yield workspace

    def _of_images(self):
        for image in self.engine.images(all=True):
            if (image["Labels"] or {}).get("org.salt-ubiq.image", "").startswith(("test-", "web")):
                yield json.dumps(self.engine.inspect_image(image["Id"]))
                yield json.dumps(self.engine.history(image["Id"]))

    def _is_clean(self, text, where):
        for secret in self.secrets:
            at = text.find(secret)
            assert at < 0, f"{where}: {text[max(0, at - 200) : at + 100]}"


@pytest.fixture
def everywhere(host, engine, tmp_path, monkeypatch, caplog):
    """A host with secrets in its pillar, that keeps what it tells Salt's event bus."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    caplog.set_level(logging.DEBUG, "salt_ubiq")

    def logged():
        return [
            record.getMessage()
            for record in caplog.get_records("call")
            # Salt itself logs whole files at its lowest levels.
            if record.name.startswith("salt_ubiq") or record.levelno >= logging.INFO
        ]

    everywhere = Everywhere(host, engine, tmp_path, logged)
    module = tmp_path / "extmods" / "modules" / "event.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "import json\n\n\ndef send(tag, data=None, **_):\n"
        f"    with open({str(everywhere.events)!r}, 'a') as handle:\n"
        "        print(json.dumps([tag, data]), file=handle)\n"
    )
    host.opts["__role"] = "minion"
    host.file("web.sls", STATES)
    host.file("_modules/asked.py", "def sees():\n    return sorted(__pillar__)\n")
    host.file("other.sls", "/srv/{{ salt['asked.sees']()[0] }}:\n  file.managed\n")
    everywhere.declare()
    return everywhere


def test_a_secret_is_in_the_file_that_has_it_and_nowhere_else(everywhere):
    call = everywhere.host.call
    first = call("ubiq_docker.build_all", jobs=2)
    assert {each["action"] for each in first.values()} == {"up-to-date", "built"}
    everywhere.password = f"pw-{uuid.uuid4().hex}"
    everywhere.secrets.append(everywhere.password)
    everywhere.declare()
    plan = call("ubiq_docker.plan")
    assert [step["reasons"] for step in plan if step["name"] == "test-web"] == [
        ["pillar db:password changed"]
    ]
    second = call("ubiq_docker.build_service", "test-web")
    everywhere.hold_nothing(
        first,
        plan,
        second,
        *(call(f"ubiq_docker.{name}") for name in ("status", "runs", "catalogue")),
        *(call("ubiq_docker.logs", f"test-{name}") for name in ("web", "other")),
        call("ubiq_docker.verify", "test-web"),
        call("ubiq_docker.packages", "test-web"),
    )
    assert "/built" in everywhere.events.read_text()
    for result in (first["test-web"], first["test-other"], second):
        assert everywhere.files(result["id"]) == FILES


@pytest.mark.parametrize("what", FAILING)
def test_a_secret_is_nowhere_else_when_the_build_fails(everywhere, what):
    everywhere.host.file("web.sls", STATES)
    everywhere.host.file("more.sls", FAILING[what])
    everywhere.declare(mods=["web", "more"])
    result = everywhere.host.call("ubiq_docker.build_all", "test-web")["test-web"]
    assert result["action"] == "failed"
    plan = everywhere.host.call("ubiq_docker.plan")
    log = everywhere.host.call("ubiq_docker.logs", "test-web")
    everywhere.hold_nothing(result, plan, log)
    assert what != "other spellings" or "hello" in result["error"]
    assert "/failed" in everywhere.events.read_text()
    assert f"kept as: {WEB}:failed" in result["error"]
    assert everywhere.files(f"{WEB}:failed") == (set() if what == "the SLS" else FILES)


def test_a_secret_is_nowhere_else_when_a_check_prints_it(everywhere):
    everywhere.declare(verify=[{"cmd": "cat /srv/secret /srv/key; exit 1"}])
    with pytest.raises(CommandExecutionError) as failure:
        everywhere.host.call("ubiq_docker.build_service", "test-web")
    result = everywhere.host.call("ubiq_docker.build_all", "test-web")["test-web"]
    assert "verify:0: cat /srv/secret" in str(failure.value)
    log = Path(result["log"]).read_text()
    everywhere.hold_nothing(failure.value, result, log)
    assert everywhere.files(f"{WEB}:failed") == FILES

    everywhere.declare()
    everywhere.host.call("ubiq_docker.build_service", "test-web")
    everywhere.declare(verify=[{"cmd": "cat /srv/secret; exit 1"}])
    everywhere.hold_nothing(everywhere.host.call("ubiq_docker.verify", "test-web"))


def test_another_recipe_key_is_a_reason_and_is_nowhere(everywhere, engine):
    host = everywhere.host
    declared = {"repository": WEB, "base": f"{IMAGES}debian-python:12", "mods": ["other"]}
    keys = [uuid.uuid4().hex for _ in range(2)]
    everywhere.secrets += keys
    seen = {}
    for key in (None, *keys, keys[0]):
        catalogue = {"services": {"test-web": declared}, **({"recipe_key": key} if key else {})}
        host.pillar({"ubiq": catalogue, "pin": 7351})
        (step,) = host.call("ubiq_docker.plan")
        result = host.call("ubiq_docker.build_service", "test-web")
        again = host.call("ubiq_docker.build_service", "test-web")
        everywhere.hold_nothing(step, result, host.call("ubiq_docker.catalogue"))
        label = engine.inspect_image(result["id"])["Config"]["Labels"]["org.salt-ubiq.recipe"]
        assert seen.setdefault(key, label) == label
        assert (result["action"], again["action"]) == ("built", "up-to-date")
        assert step["reasons"] == [
            "no image"
            if key is None
            else f"ubiq:recipe_key {'added' if len(seen) == 2 else 'changed'}"
        ]
    assert len(set(seen.values())) == 3

"""What Salt in a container is served of this host, and what is taken note of."""

from __future__ import annotations

import base64
import io
import os
import tarfile

import pytest
import salt.config
import salt.payload

from salt_ubiq.containers.file_server import FileServer


class Tree:
    """Two saltenvs, and a server of them that is asked as Salt's client asks."""

    def __init__(self, top):
        self.roots = {name: top / name for name in ("base", "dev")}
        for name, root in self.roots.items():
            self.write("web/conf", f"of {name}\n", name)
            (root / "web" / "empty").mkdir()
        opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
        self.opts = {
            **opts,
            "root_dir": str(top),
            "cachedir": str(top / "cache"),
            "file_client": "local",
            "fileserver_list_cache_time": 0,
            "file_roots": {name: [str(root)] for name, root in self.roots.items()},
            "own": {"key": 1},
            "pillar": {"password": "hunter2"},
            "grains": {"id": "host"},
            "ubiq": {"services": {}},
            "unspeakable": object(),
        }
        self.modules = None

    def write(self, path, text, saltenv="base"):
        target = self.roots[saltenv] / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    @property
    def server(self):
        return FileServer(self.opts, self.modules)


def asked(server, cmd, **load):
    question = base64.b64encode(salt.payload.dumps({"cmd": cmd, **load})).decode()
    return salt.payload.loads(server.answer(question), encoding="utf-8")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def server(tree):
    return tree.server


@pytest.mark.parametrize(
    "question",
    ["", "x", "not base64", "\udcff", base64.b64encode(b"\xc1").decode(), "a" * 99_999,
     base64.b64encode(salt.payload.dumps(["cmd"])).decode(),
     base64.b64encode(salt.payload.dumps({})).decode()],
)  # fmt: skip
def test_what_is_no_question_is_answered_with_nothing(server, question):
    assert salt.payload.loads(server.answer(question)) == {}
    assert server.asked == frozenset()


@pytest.mark.parametrize(
    "load",
    [
        {"cmd": "_pillar"},
        {"cmd": "_mine"},
        {"cmd": "_master_opts"},
        {"cmd": "nonsense"},
        {"cmd": ["_serve_file"]},
        {"cmd": {"_serve_file": 1}},
        {"cmd": "_serve_file", "path": "../secret"},
        {"cmd": "_serve_file", "path": "web/../../secret"},
        {"cmd": "_serve_file", "path": "/etc/passwd"},
        {"cmd": "_serve_file", "path": 1},
        {"cmd": "_serve_file", "path": ["web/conf"]},
        {"cmd": "_serve_file", "path": "web/conf", "saltenv": ["base"]},
        {"cmd": "_file_list", "prefix": "../", "saltenv": "base"},
    ],
)
def test_what_no_file_client_may_have_is_not_answered(tree, load):
    (tree.roots["base"].parent / "secret").write_text("secret")
    server = tree.server
    assert asked(server, **load) == {}
    assert server.asked == frozenset()


def test_a_file_is_served_and_noted_once(server):
    for loc in (0, 5):
        found = asked(server, "_serve_file", path="web/conf", saltenv="base", loc=loc)
        assert found["data"] == b"of base\n"[loc:]
    assert asked(server, "_file_hash", path="web/conf", saltenv="base")["hash_type"] == "sha256"
    assert server.asked == {"salt://web/conf"}


def test_another_saltenv_has_its_own(server):
    found = asked(server, "_serve_file", path="web/conf", saltenv="dev", loc=0)
    assert found["data"] == b"of dev\n"
    assert server.asked == {"salt://web/conf?saltenv=dev"}
    base, dev = server.hashes(["salt://web/conf", "salt://web/conf?saltenv=dev"]).values()
    assert base != dev


def test_a_file_that_is_not_there_is_noted_too_and_has_an_empty_hash(tree):
    server = tree.server
    asked(server, "_serve_file", path="web/absent", saltenv="base", loc=0)
    assert server.asked == {"salt://web/absent"}
    assert server.hashes(server.asked) == {"salt://web/absent": ""}
    tree.write("web/absent", "there")
    assert tree.server.hashes(server.asked)["salt://web/absent"]


def test_the_hash_of_a_file_is_that_of_its_content_and_mode(tree):
    name, path = "salt://web/conf", tree.roots["base"] / "web" / "conf"
    path.chmod(0o644)
    first = tree.server.hashes([name])
    os.utime(path, (1, 1))
    assert tree.server.hashes([name]) == first
    path.chmod(0o755)
    other = tree.server.hashes([name])
    assert other != first
    path.chmod(0o644)
    path.write_text("edited")
    assert tree.server.hashes([name]) not in (first, other)


@pytest.mark.parametrize(
    ("command", "name", "change"),
    [
        ("_file_list", "files of salt://web", lambda web: (web / "new").touch()),
        ("_file_list_emptydirs", "empty directories of salt://web",
         lambda web: (web / "new").mkdir()),
        ("_dir_list", "directories of salt://web", lambda web: (web / "empty").rmdir()),
        ("_symlink_list", "links of salt://web", lambda web: (web / "new").symlink_to("conf")),
    ],
)  # fmt: skip
def test_a_list_is_noted_and_has_a_hash_that_changes_with_it(tree, command, name, change):
    server = tree.server
    assert asked(server, command, prefix="web", saltenv="base") is not None
    assert server.asked == {name}
    first = tree.server.hashes([name])
    assert tree.server.hashes([name]) == first
    (tree.roots["base"] / "web" / "conf").write_text("edited")
    tree.write("other", "elsewhere")
    assert tree.server.hashes([name]) == first
    change(tree.roots["base"] / "web")
    assert tree.server.hashes([name]) != first


def test_a_list_of_all_files(server):
    asked(server, "_file_list", prefix="", saltenv="dev")
    assert server.asked == {"files of salt://?saltenv=dev"}
    assert server.hashes(server.asked)["files of salt://?saltenv=dev"]


def test_a_list_that_a_state_takes_its_own_of_is_not_noted(server):
    listed = asked(server, "_file_list", prefix="", saltenv="base", by_state=True)
    assert listed == ["web/conf"]
    assert server.asked == frozenset()


def test_saltenvs_are_told_and_not_noted(server):
    assert sorted(asked(server, "_file_envs")) == ["base", "dev"]
    assert server.asked == frozenset()


def test_modules_and_config_are_given_and_nothing_of_this_host(tree, tmp_path):
    tree.modules = tmp_path / "modules"
    (tree.modules / "modules" / "__pycache__").mkdir(parents=True)
    (tree.modules / "modules" / "own.py").write_text("x = 1\n")
    (tree.modules / "modules" / "__pycache__" / "own.pyc").write_text("")
    given = asked(tree.server, "extension_modules")
    assert given["config"]["own"] == {"key": 1}
    assert not {"pillar", "grains", "ubiq", "unspeakable", "conf_file"} & set(given["config"])
    assert set(given["ours"]) == {"service.py"}
    with tarfile.open(fileobj=io.BytesIO(given["modules"])) as tar:
        assert {each.name for each in tar if each.isreg()} == {"./modules/own.py"}


def test_a_module_that_is_used_is_noted_by_its_url(server):
    assert asked(server, "extension_modules")["modules"] == b""
    server.note_used("states/own.py")
    assert server.asked == {"salt://_states/own.py"}

"""Extension modules of a state tree, as they are there."""

from __future__ import annotations

import pytest
import salt.config

from salt_ubiq.containers.extension_modules import source_of, sync


class Tree:
    def __init__(self, top):
        self.directory = top / "modules"
        self.minions = top / "minions"
        self.roots = {name: top / name for name in ("base", "dev")}
        opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
        self.opts = {
            **opts,
            "root_dir": str(top),
            "cachedir": str(top / "cache"),
            "extension_modules": str(self.minions),
            "file_client": "local",
            "fileserver_list_cache_time": 0,
            "file_roots": {name: [str(root)] for name, root in self.roots.items()},
        }

    def write(self, path, text="", saltenv="base"):
        target = self.roots[saltenv] / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def sync(self, *saltenvs):
        files = [
            str(path.relative_to(root)) for root in self.roots.values() for path in root.rglob("*")
        ]
        return sync(self.opts, saltenvs or ("base",), files, self.directory)

    @property
    def found(self):
        return {
            str(path.relative_to(self.directory)): path.read_text()
            for path in self.directory.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_modules_of_every_kind_are_there_and_nothing_else(tree):
    for kind in ("modules", "states", "grains", "utils", "renderers", "beacons"):
        tree.write(f"_{kind}/one.py", kind)
    tree.write("web/init.sls")
    assert tree.sync()
    assert tree.found == {
        f"{kind}/one.py": kind for kind in ("modules", "states", "grains", "utils", "renderers")
    }


def test_where_there_are_none_there_are_none(tree):
    tree.write("web/_modules/one.py")
    assert not tree.sync()
    assert not tree.directory.exists()


def test_they_are_as_the_tree_has_them_now(tree):
    tree.write("_modules/one.py", "old")
    tree.write("_modules/gone.py", "gone")
    tree.sync()
    tree.write("_modules/one.py", "new")
    (tree.roots["base"] / "_modules" / "gone.py").unlink()
    of_minion = tree.minions / "modules" / "stale.py"
    of_minion.parent.mkdir(parents=True)
    of_minion.write_text("of this host's minion")
    tree.sync()
    assert tree.found == {"modules/one.py": "new"}
    assert of_minion.exists()


def test_a_saltenvs_own_goes_over_that_of_base(tree):
    tree.write("_modules/both.py", "base")
    tree.write("_modules/both.py", "dev", "dev")
    tree.write("_modules/base_only.py", "base")
    tree.sync("base", "dev")
    assert tree.found == {"modules/both.py": "dev", "modules/base_only.py": "base"}


def test_our_own_are_left_out(tree):
    tree.write("_modules/ubiq_docker.py")
    tree.write("_states/ubiq_docker.py")
    tree.write("_states/own.py")
    tree.sync()
    assert set(tree.found) == {"states/own.py"}


def test_the_url_of_a_module():
    assert source_of("modules/one.py") == "salt://_modules/one.py"

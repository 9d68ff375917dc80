"""The git checkout that states or a Dockerfile are from."""

import os
import subprocess

import pytest

from salt_ubiq.builds.git_checkout import (
    Checkout,
    checkout_of,
    checkout_of_context,
    state_roots,
    without_credentials,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/states.git", "https://example.org/states.git"),
        ("https://me:geheim@example.org:8443/states", "https://example.org:8443/states"),
        ("https://geheim@example.org/states", "https://example.org/states"),
        ("https://me:a@geheim@example.org/states", "https://example.org/states"),
        ("https://me:geheim/x@example.org/states", None),
        ("https://geheim/x@example.org/states", None),
        ("https://example.org/states?token=geheim#geheim", "https://example.org/states"),
        ("https://[::1]:8443/states", "https://[::1]:8443/states"),
        ("ssh://git:geheim@example.org/states", "ssh://git@example.org/states"),
        ("git@example.org:team/states.git", "git@example.org:team/states.git"),
        ("me:geheim@example.org:states", None),
        ("/srv/git/states", None),
        ("../states", None),
        ("file:///srv/git/states", None),
        ("ext::sh -c geheim", None),
        ("", None),
    ],
)
def test_a_source_is_a_url_without_credentials(url, expected):
    assert without_credentials(url) == expected


def test_only_a_host_with_its_own_states_has_roots():
    opts = {"file_client": "local", "file_roots": {"base": ["/srv/a", "/srv/b"]}}
    assert [str(root) for root in state_roots(opts, "base")] == ["/srv/a", "/srv/b"]
    assert state_roots(opts, "dev") == ()
    assert state_roots({**opts, "file_client": "remote"}, "base") == ()
    assert state_roots({"file_client": "local", "file_roots": None}, "base") == ()


class Tree:
    """A git checkout."""

    def __init__(self, path):
        self.path = path
        self.git("init", "-q")

    def git(self, *arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(
            ["git", "-C", self.path, *identity, *arguments],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def file(self, path, text=""):
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def new_tree(tmp_path):
    def make(name="tree"):
        path = tmp_path / name
        path.mkdir(parents=True)
        return Tree(path)

    return make


@pytest.fixture
def tree(new_tree):
    """A checkout with three SLS modules in the directory ``states``."""
    tree = new_tree()
    for path in ("web.sls", "admin/init.sls", "db/server.sls"):
        tree.file(f"states/{path}")
    tree.commit()
    return tree


def test_the_checkout_of_states_is_found_from_a_root_inside_it(tree):
    tree.git("remote", "add", "origin", "https://me:geheim@example.org/states")
    found = checkout_of(["web", "admin", "db.server"], [tree.path / "states"])
    assert found == Checkout(tree.git("rev-parse", "HEAD"), "https://example.org/states")


def test_a_source_is_not_what_git_rewrites_it_to(tree):
    tree.git("remote", "add", "origin", "https://example.org/states")
    tree.git("config", "url.https://geheim.example.net/.insteadOf", "https://example.org/")
    found = checkout_of(["web"], [tree.path / "states"])
    assert found and found.source == "https://example.org/states"


@pytest.mark.parametrize("path", ["states/web.sls", "states/new.sls", "pillar/top.sls"])
def test_a_tree_with_changes_is_dirty(tree, path):
    revision = tree.git("rev-parse", "HEAD")
    tree.file(path, "changed: {}\n")
    found = checkout_of(["web"], [tree.path / "states"])
    assert found == Checkout(f"{revision}-dirty", None)


def test_states_match_globs_as_salts_do(tree):
    assert checkout_of(["a*", "db.*"], [tree.path / "states"])
    assert checkout_of(["x*"], [tree.path / "states"]) is None
    assert checkout_of(["**b"], [tree.path / "states"])


def test_the_first_root_that_has_a_module_counts(tree, new_tree):
    other = new_tree("other")
    other.file("web.sls")
    revision = other.commit()
    found = checkout_of(["web"], [tree.path, other.path, tree.path / "states"])
    assert found and found.revision == revision


def test_modules_of_two_checkouts_are_of_none(tree, new_tree):
    other = new_tree("other")
    other.file("cache.sls")
    other.commit()
    assert checkout_of(["web", "cache"], [tree.path / "states", other.path]) is None


def test_a_module_that_is_not_on_this_host_is_of_no_checkout(tree):
    assert checkout_of(["web", "from-gitfs"], [tree.path / "states"]) is None
    assert checkout_of(["web"], [tree.path / "nowhere"]) is None
    assert checkout_of(["web"], []) is None


def test_a_build_context_is_of_the_checkout_that_has_its_dockerfile(tree, tmp_path):
    tree.file("_docker/small/Dockerfile")
    revision = tree.commit()
    roots = [tmp_path / "nowhere", tree.path]
    for url in ("salt://_docker/small", "salt://_docker/small/", str(tree.path / "_docker/small")):
        assert checkout_of_context(url, roots) == Checkout(revision, None)
    for url in ("salt://states", "salt://nowhere", str(tmp_path)):
        assert checkout_of_context(url, roots) is None


def test_a_linked_module_is_of_the_checkout_that_it_is_in(tree, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "web.sls").symlink_to(tree.path / "states" / "web.sls")
    assert checkout_of(["web"], [tmp_path / "root"])


def test_states_that_a_checkout_around_them_ignores_are_not_of_it(tree):
    tree.file(".gitignore", "elsewhere/\n")
    tree.commit()
    tree.file("elsewhere/mail.sls")
    assert checkout_of(["mail"], [tree.path / "elsewhere"]) is None


def test_no_repository_no_commit_no_git_is_no_checkout(tmp_path, new_tree, tree, monkeypatch):
    (tmp_path / "web.sls").write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout_of(["web"], [tmp_path]) is None
    empty = new_tree("empty")
    empty.file("web.sls")
    assert checkout_of(["web"], [empty.path]) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout_of(["web"], [tree.path / "states"]) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_checkout_that_git_does_not_trust_is_none(tree, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    for path in (tree.path, tree.path / ".git"):
        os.chown(path, 12345, 12345)
    assert checkout_of(["web"], [tree.path / "states"]) is None


def test_git_is_asked_about_the_states_even_in_a_hook_of_another_repository(
    tree, new_tree, monkeypatch
):
    other = new_tree("other")
    other.file("x")
    other.commit()
    revision = tree.git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    found = checkout_of(["web"], [tree.path / "states"])
    assert found and found.revision == revision

"""Listing and removing what is in directories of a container."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from salt_ubiq.inside import sweep

# A line break, what str.splitlines takes for one, and what is no UTF-8.
NAMES = ["evil\n", "\u0085", "\u2028", "\udcff\udcfe", "-rf", "* $(x)"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A directory in what stands in the place of a container's root."""
    monkeypatch.setattr(sweep, "ROOT", bytes(tmp_path))
    cache = tmp_path / "cache"
    cache.mkdir()
    return cache


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def found(*directories):
    return [Path(os.fsdecode(path)) for path in sweep.found(map(bytes, directories))]


def remove(*directories, kept=()):
    sweep.remove(map(bytes, directories), {bytes(path) for path in kept})


def test_all_paths_are_found_and_the_directory_last(cache):
    file = touch(cache / "a/b")
    assert found(cache) == [file, cache / "a", cache]


def test_what_is_not_there_is_not_found(tmp_path, cache):
    assert found(tmp_path / "none", tmp_path / "none/below") == []


@pytest.mark.parametrize("name", NAMES)
def test_names_are_any_bytes(cache, name):
    file = touch(cache / name / "srv")
    assert found(cache) == [file, file.parent, cache]
    remove(cache, kept=[cache])
    assert found(cache) == [cache]


def test_what_is_kept_stays_with_the_directories_above(cache):
    kept = {cache, cache / "old", touch(cache / "old/a\nb")}
    touch(cache / "old/new")
    touch(cache / "new/new")
    remove(cache, kept=kept)
    assert {*found(cache)} == kept


def test_links_are_removed_and_not_followed(tmp_path, cache):
    outside = touch(tmp_path / "srv/file")
    linked = tmp_path / "linked-cache"
    for link in (cache / "link", linked):
        link.symlink_to(outside.parent)
    remove(cache, linked, kept=[linked])
    assert outside.exists()
    assert linked.is_symlink()
    assert not cache.exists()


def test_another_mount_is_left_alone(cache):
    """As /proc is one everywhere."""
    assert found(Path("/proc"), Path("/proc/self")) == []


def can_mount():
    command = ["unshare", "--mount", "true"]
    return bool(shutil.which("unshare")) and not subprocess.run(command, check=False).returncode


@pytest.mark.skipif(not can_mount(), reason="needs leave to mount")
def test_a_bind_of_the_same_device_is_left_alone(tmp_path, cache):
    """Neither is what is in it touched, nor the file or directory that it is mounted on."""
    outside = touch(tmp_path / "outside/file")
    for path in (cache / "a/file", cache / "b/below/other", cache / "c"):
        touch(path)
    text = Path(sweep.__file__).read_text().replace('ROOT = b"/"', 'ROOT = b"."')
    script = """
        set -e
        mount --bind outside cache/b/below
        mount --bind outside/file cache/c
        "$0" -c "$1" remove 0 "$PWD/cache" < /dev/null
        find cache
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    left = ["cache", "cache/b", "cache/b/below", "cache/b/below/file", "cache/c"]
    assert sorted(done.stdout.splitlines()) == left
    assert outside.exists()


def test_what_can_not_be_removed_ends_it_with_the_reason(cache, monkeypatch):
    touch(cache / "a\nb")

    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(SystemExit, match=r"can't remove '.*/a\\nb': Operation not permitted"):
        remove(cache)

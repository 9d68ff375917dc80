"""What builds leave on a host is for its owner alone."""

import os

import pytest

from salt_ubiq.builds.parent_facts import Facts, ParentFacts
from salt_ubiq.builds.residue import Residue
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.registry.digests import Digests
from salt_ubiq.runs.records import Runs
from salt_ubiq.workspace import files
from salt_ubiq.workspace.slots import Workspace, root

IMAGE = f"sha256:{'a' * 64}"


def open_to_others(directory):
    """What below a directory others can read, write or look into, itself included."""
    return [path for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def fill(cachedir):
    workspace = Workspace(str(cachedir))
    with workspace.lock("one"), workspace.slot() as slot, slot.temporary_files():
        slot.record_layers(["a", "b"])
        files.write(workspace.log_of("web"), "a log\n")
        Recipes(workspace).save(Recipe(), IMAGE)
        ParentFacts(workspace).facts(IMAGE, "3008", lambda: Facts({}, Residue((), ())))
        Digests(workspace).add(IMAGE, "sha256:1")
        Runs(workspace.path / "runs").save("run", (), 1.0, 2.0)


def test_nothing_of_a_workspace_is_open_to_others(tmp_path):
    fill(tmp_path)
    assert len(list((tmp_path / "ubiq").rglob("*"))) > 15
    assert open_to_others(tmp_path / "ubiq") == []
    assert {
        (tmp_path / "ubiq" / name).stat().st_mode & 0o777 for name in ("id", "runs/run.json")
    } == {0o600}


def test_what_was_open_to_others_is_closed(tmp_path):
    fill(tmp_path)
    workspace = tmp_path / "ubiq"
    outside = tmp_path / "outside"
    outside.write_text("not ours")
    (workspace / "link").symlink_to(outside)
    for path in (workspace, *workspace.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    Workspace(str(tmp_path))
    assert open_to_others(workspace) == [workspace / "link"]
    assert outside.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_written_again_is_closed(tmp_path):
    path = tmp_path / "log"
    path.write_text("old")
    path.chmod(0o664)
    with files.opened(path, "w") as handle:
        handle.write("new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_program_stays_one(tmp_path):
    (tmp_path / "ubiq").mkdir(mode=0o755)
    program = tmp_path / "ubiq" / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    root(str(tmp_path))
    assert program.stat().st_mode & 0o777 == 0o700


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "record"
    files.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "new \udcff")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_of_the_master_is_for_its_owner_alone(tmp_path):
    Runs(root(str(tmp_path)) / "runs").save("run", (), 1.0, 2.0)
    assert open_to_others(tmp_path / "ubiq") == []

"""What can't be read of a workspace is as if it weren't there; nothing is written through links."""

from __future__ import annotations

import os
import shutil

import pytest

from salt_ubiq.builds.parent_facts import Facts, ParentFacts
from salt_ubiq.builds.residue import Residue
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import WorkspaceError
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.registry.digests import Digests
from salt_ubiq.runs.records import Runs
from salt_ubiq.workspace.files import opened, read, write
from salt_ubiq.workspace.slots import Workspace

IMAGE = f"sha256:{64 * '1'}"
FACTS = Facts({"os": "Debian"}, Residue((), ()))


def _directory(path):
    path.mkdir()
    (path / "below").write_text("x")


CORRUPTIONS = {
    "empty": lambda path: path.write_text(""),
    "garbage": lambda path: path.write_text("\0{"),
    "another type": lambda path: path.write_text("[1, {}]"),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe"),
    "a directory": _directory,
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a pipe": os.mkfifo,
}


@pytest.fixture(params=CORRUPTIONS)
def corrupt(request):
    """``corrupt(path)``: put something else into the place of a file."""

    def put(path):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        CORRUPTIONS[request.param](path)

    return put


def test_a_workspace_whose_id_is_none_gets_another(tmp_path, corrupt):
    workspace = Workspace(str(tmp_path))
    corrupt(workspace.path / "id")
    again = Workspace(str(tmp_path))
    assert again.slot_prefix == Workspace(str(tmp_path)).slot_prefix


def test_facts_of_a_parent_are_asked_for_again(tmp_path, corrupt):
    parents = ParentFacts(Workspace(str(tmp_path)))
    assert parents.facts(IMAGE, "3008", lambda: FACTS) == FACTS
    (path,) = (tmp_path / "ubiq" / "parents").iterdir()
    corrupt(path)
    assert parents.facts(IMAGE, "3008", lambda: FACTS) == FACTS
    assert parents.facts(IMAGE, "3008", lambda: pytest.fail("known")) == FACTS


def test_a_slot_has_no_layers_but_those_that_can_be_read(tmp_path, corrupt):
    with Workspace(str(tmp_path)).slot() as slot:
        corrupt(slot.path / "layers")
        assert all(isinstance(layer, str) for layer in slot.layers)
        slot.record_layers([IMAGE])
        assert slot.layers == [IMAGE]


def test_a_recipe_is_made_elsewhere(tmp_path, corrupt):
    recipes = Recipes(Workspace(str(tmp_path)))
    corrupt(tmp_path / "ubiq" / "recipes" / "digest.json")
    assert recipes.load("digest") is None


def test_a_run_is_none(tmp_path, corrupt):
    runs = Runs(tmp_path / "runs")
    runs.save("good", (), 1, 2)
    corrupt(tmp_path / "runs" / "bad.json")
    assert [run.id for run in runs.list(10)] == ["good"]
    assert runs.durations() == {}


def test_an_image_was_never_pushed(tmp_path, corrupt):
    digests, image = Digests(Workspace(str(tmp_path))), ImageInfo(IMAGE, {}, 1)
    corrupt(tmp_path / "ubiq" / "digests" / IMAGE.partition(":")[2])
    digests.add(IMAGE, "sha256:1")
    assert "sha256:1" in digests.of(image)


@pytest.mark.parametrize("what", ["a directory", "a link"])
def test_a_lock_or_log_that_is_no_file_is_told_with_what_to_do(tmp_path, what):
    path = tmp_path / "lock"
    CORRUPTIONS[what](path)
    with pytest.raises(WorkspaceError, match=f"{path} has to be a file, and is none: remove it"):
        opened(path, "w")


def test_what_is_written_replaces_a_link_and_not_what_it_leads_to(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    write(link, "new")
    assert (target.read_text(), read(link)) == ("mine", "new")
    assert not link.is_symlink()

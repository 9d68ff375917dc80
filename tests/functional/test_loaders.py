"""Salt keeps one object per module in a process, whichever of its loaders comes across the file."""

from __future__ import annotations

import pytest
from salt.loader.lazy import LazyLoader

from tests.conftest import IMAGES


@pytest.fixture(params=["first", "last"])
def listed(request, monkeypatch):
    """The file of our module comes first, or last, of all that may have docker's functions."""
    by_salt = LazyLoader._refresh_file_mapping

    def refresh(self):
        by_salt(self)
        if "ubiq_docker" in self.file_mapping:
            ours = {"ubiq_docker": self.file_mapping.pop("ubiq_docker")}
            both = (
                (ours, self.file_mapping) if request.param == "first" else (self.file_mapping, ours)
            )
            self.file_mapping = {**both[0], **both[1]}

    monkeypatch.setattr(LazyLoader, "_refresh_file_mapping", refresh)


def test_a_run_keeps_to_its_workspace_in_whichever_order_modules_are_listed(host, engine, listed):
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.file("fails.sls", "exit 3:\n  cmd.run: []\n")
    one = {"repository": f"{IMAGES}one", "base": "test-base", "mods": ["one"]}
    fails = {"repository": f"{IMAGES}fails", "base": "test-base", "mods": ["fails"]}
    host.catalogue(**{"test-one": one, "test-fails": fails})
    modules = host.modules
    results = modules["ubiq_docker.build_all"]()
    assert results["test-one"]["action"] == "built"
    assert modules.pack["__context__"]["retcode"] == 1
    workspace = host.cachedir / "ubiq"
    (record, *_) = modules["ubiq_docker.runs"]()
    assert (workspace / "runs" / f"{record['id']}.json").is_file()
    assert "exit 3 (cmd.run)" in modules["ubiq_docker.logs"]("test-fails")
    assert not [*workspace.glob("slots/*/cache/ubiq")]
    assert modules["ubiq_docker.status"]("test-one")["test-one"]["reasons"] == []

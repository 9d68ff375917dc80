"""What mmdebstrap is told, and what of it others can see."""

from __future__ import annotations

import stat

import pytest

from salt_ubiq.catalogue.models import Bootstrap
from salt_ubiq.engine import bootstrap
from salt_ubiq.errors import BuildError

# It fails, and says how it was called and what it has been given to copy in.
TOLD = """#!/bin/sh
echo "$@" >&2
cat "$(dirname "$0")"/../tmp/*/*.conf >&2
stat -c %a "$(dirname "$0")"/../tmp/*/*.conf >&2
exit 1
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """``told(mirror)``: what an mmdebstrap says that fails."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    program = tmp_path / "bin" / "mmdebstrap"
    program.write_text(TOLD)
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))

    def made(mirror):
        declared = Bootstrap(image="debian:12", suite="bookworm", mirror=mirror)
        with pytest.raises(BuildError) as caught:
            bootstrap.make(declared, None)
        assert list((tmp_path / "tmp").iterdir()) == []
        return str(caught.value)

    return made


@pytest.mark.parametrize(
    ("mirror", "sources"),
    [
        ("http://team:a%40b@mirror/debian", "http://mirror/debian"),
        (
            "deb [arch=amd64] http://team:a%40b@mirror/debian sid main",
            "deb [arch=amd64] http://mirror/debian sid main",
        ),
    ],
)
def test_apt_gets_the_login_of_a_mirror_in_a_file_and_mmdebstrap_the_rest(told, mirror, sources):
    _, arguments, login, mode = told(mirror).splitlines()
    assert arguments.endswith(f"root.tar {sources}")
    assert "a%40b" not in arguments
    assert login.strip() == "machine http://mirror/debian login team password a@b"
    assert mode.strip() == "600"


def test_a_mirror_without_a_login_is_left_as_it_is(told):
    assert "bookworm" in (text := told("http://user@mirror/debian"))
    assert text.splitlines()[1].endswith("root.tar http://user@mirror/debian")
    assert "hook" not in text


def test_a_password_that_apt_can_not_read_is_refused(told):
    assert told("http://team:a%20b@mirror") == (
        "debian:12: a login of its mirror has a space: apt can't read it"
    )

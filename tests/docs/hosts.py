"""
Hosts that have only what a page names: a Debian made by mmdebstrap, Salt in a venv, and the
engine's socket.

Roots are made once and saved. A command runs in mounts of its own, and in the network of the
process that runs the tests.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import FileLock

from tests.support.repository import copy_to

SUITE, PYTHON = "bookworm", (3, 11)
# What the pages take for granted on a host, and what Salt's own installation brings along.
PACKAGES = "ca-certificates curl docker-compose git make mmdebstrap procps python3-venv".split()
_WEEK = 7 * 24 * 3600
_TIMEOUT = 900  # seconds, for all commands of a block
_FROM_HERE = "proc sys dev etc/ssl/certs etc/resolv.conf run/docker.sock".split()
_ENTER = """
root=$1; shift
for place in PLACES; do mount --rbind "/$place" "$root/$place"; done
exec chroot "$root" "$@"
""".replace("PLACES", " ".join(_FROM_HERE))
_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/opt/salt/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PIP_FIND_LINKS": "/opt/wheels",
    "PIP_NO_INDEX": "1",
}


class Host:
    """A host in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for place in _FROM_HERE:  # /var/run is a link, and would lead out of it
            target = root / place
            if Path("/", place).is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                target.touch()

    def run(self, script: str, directory: str = "/root") -> subprocess.CompletedProcess[str]:
        """Run a script as the shell of its administrator would; both outputs are in one."""
        environment = [f"{key}={value}" for key, value in _ENVIRONMENT.items()]
        inside = ["env", "-i", *environment, "bash", "-c", f"cd {directory}\n{script}"]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-euc", _ENTER, "sh", str(self.root), *inside],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )

    def write(self, path: str, text: str, directory: str = "/root") -> None:
        """Write a file, at a path from the root or from a directory."""
        target = self.root / Path(directory, path).relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def make(salt: str, saved: Path, root: Path) -> Host:
    """
    Make a host with a version of Salt, and this package among what can be installed.

    saved
        the directory in which roots are kept
    """
    week = hashlib.sha256(f"{PACKAGES} {time.time() // _WEEK:.0f}".encode()).hexdigest()[:8]
    archive = saved / f"{salt}-{week}.tar"
    with FileLock(saved / "lock"):
        if not archive.exists():
            for old in saved.glob(f"{salt}-*.tar"):
                old.unlink()
            _make_root(salt, saved / "root", archive)
    _run("tar", "--extract", f"--file={archive}", "--numeric-owner", f"--directory={root}")
    _make_wheels(root, "--no-deps")
    return Host(root)


def _make_root(salt: str, root: Path, archive: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    _run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))
    _make_wheels(root, f"salt=={salt}.*")
    installed = Host(root).run(
        "python3 -m venv /opt/salt && pip install --quiet salt && ln -sf pip /opt/salt/bin/salt-pip"
    )
    assert installed.returncode == 0, installed.stdout
    half = archive.with_suffix(".half")
    _run("tar", "--create", f"--file={half}", "--numeric-owner", f"--directory={root}", ".")
    shutil.rmtree(root)
    half.rename(archive)


def _make_wheels(root: Path, *what: str) -> None:
    """Have wheels of this package, as it is now, and of what else is to be there."""
    with tempfile.TemporaryDirectory() as copy:
        package = str(copy_to(Path(copy)))
        wheels = f"--wheel-dir={root / 'opt/wheels'}"
        _run(sys.executable, "-m", "pip", "wheel", "--quiet", wheels, *what, package)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)

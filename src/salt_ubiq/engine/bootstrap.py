"""
Making a first image where no registry can be reached: Debian's packages, unpacked
into a root file system by mmdebstrap and imported.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from salt_ubiq.catalogue.models import Bootstrap
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import BuildError

log = logging.getLogger(__name__)

# Where apt looks for logins, below the root that is made.
_LOGINS = "/etc/apt/auth.conf.d"
_LOGIN = re.compile(r"(?P<scheme>\w+://)(?P<user>[^\s/:@]+):(?P<password>[^\s/@]+)@(?P<place>\S+)")


def make(bootstrap: Bootstrap, engine: Engine, otherwise: str = "pull the image") -> None:
    """
    Make ``bootstrap.image`` on the engine.

    otherwise
        what to do where there is no mmdebstrap

    Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image.
    """
    if not shutil.which("mmdebstrap"):
        raise BuildError(
            f"{bootstrap.image} is not on the engine, and mmdebstrap, which would make it, is not "
            f"installed: apt-get install mmdebstrap, or {otherwise}"
        )
    log.info("bootstrapping %s from Debian's packages (%s)", bootstrap.image, bootstrap.suite)
    with tempfile.TemporaryDirectory(prefix="ubiq-bootstrap-") as directory:
        # What one that is killed has unpacked goes with the directory. Who isn't root unpacks as a
        # user of another number, who can't be let in.
        elsewhere = {"TMPDIR": directory} if os.geteuid() == 0 else {}
        done = subprocess.run(
            _command(bootstrap, Path(directory)),
            env={**os.environ, **elsewhere},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise BuildError(
                f"mmdebstrap could not make {bootstrap.image} (exit {done.returncode}):\n"
                + "\n".join(f"  {line}" for line in done.stderr.splitlines()[-5:])
            )
        changes = ('CMD ["bash"]', f"LABEL {LABEL}.image={bootstrap.image}")
        engine.images.import_tar(str(_tar(Path(directory))), bootstrap.image, changes)


def _tar(directory: Path) -> Path:
    return directory / "root.tar"


def _command(bootstrap: Bootstrap, directory: Path) -> list[str]:
    options = {
        "variant": bootstrap.variant,
        "include": ",".join(bootstrap.include),
        "keyring": bootstrap.keyring,
    }
    given = [f"--{option}={value}" for option, value in options.items() if value]
    mirror = bootstrap.mirror or ""
    sources = _LOGIN.sub(r"\g<scheme>\g<place>", mirror)
    if sources != mirror:
        given += _with_logins(bootstrap, directory / "ubiq-mirror.conf")
    return ["mmdebstrap", *given, bootstrap.suite, str(_tar(directory)), *filter(None, [sources])]


def _with_logins(bootstrap: Bootstrap, file: Path) -> list[str]:
    """
    Have apt find a mirror's logins in a file, as long as the root is being made.

    Arguments are seen by whoever lists processes, and URLs go to the image's ``sources.list``.
    """
    file.touch(mode=0o600)
    with file.open("a") as logins:
        for found in _LOGIN.finditer(bootstrap.mirror or ""):
            user, password = map(urllib.parse.unquote, found.group("user", "password"))
            if re.search(r"\s", user + password):
                image = bootstrap.image
                raise BuildError(f"{image}: a login of its mirror has a space: apt can't read it")
            place = f"{found['scheme']}{found['place']}"
            print(f"machine {place} login {user} password {password}", file=logins)
    last = "extract" if bootstrap.variant == "extract" else "customize"
    return [
        f'--setup-hook=mkdir -p "$1{_LOGINS}"',
        f"--setup-hook=copy-in {shlex.quote(str(file))} {_LOGINS}",
        f'--{last}-hook=rm "$1{_LOGINS}/{file.name}"',
    ]

"""
Making a first image where no registry can be reached: Debian's packages, unpacked
into a root file system by mmdebstrap and imported.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

from salt_ubiq.catalogue.models import Bootstrap
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import BuildError

log = logging.getLogger(__name__)


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
        tar = str(Path(directory, "root.tar"))
        done = subprocess.run(
            _command(bootstrap, tar), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            raise BuildError(
                f"mmdebstrap could not make {bootstrap.image} (exit {done.returncode}):\n"
                + "\n".join(f"  {line}" for line in done.stderr.splitlines()[-5:])
            )
        changes = ('CMD ["bash"]', f"LABEL {LABEL}.image={bootstrap.image}")
        engine.images.import_tar(tar, bootstrap.image, changes)


def _command(bootstrap: Bootstrap, tar: str) -> list[str]:
    options = {
        "variant": bootstrap.variant,
        "include": ",".join(bootstrap.include),
        "keyring": bootstrap.keyring,
    }
    given = [f"--{option}={value}" for option, value in options.items() if value]
    mirror = [bootstrap.mirror] if bootstrap.mirror else []
    return ["mmdebstrap", *given, bootstrap.suite, tar, *mirror]

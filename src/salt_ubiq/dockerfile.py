"""
A base: its bootstrapped FROM, its build context, and ``docker build``.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from salt_ubiq import bootstrap
from salt_ubiq.catalogue import Base
from salt_ubiq.errors import BuildError
from salt_ubiq.site import Site

log = logging.getLogger(__name__)

_STEP = re.compile(r"Step (?P<number>\d+/\d+) : (?P<instruction>.*)", re.DOTALL)
_LAYER = re.compile(r" ---> (?P<id>[0-9a-f]{12})\s*")
_CACHED = " ---> Using cache"
_CHATTER = (" ---> ", "Removing intermediate container")
_LAST_LINES = 5


def build(base: Base, site: Site) -> str:
    """
    Build ``base``, first its FROM where that is to be bootstrapped, and return the image's ID.

    Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image, and no layer of it.
    """
    if base.bootstrap and not site.engine.image(base.bootstrap.image):
        bootstrap.make(base.bootstrap, site.engine)
    log.info("%s: building %s", base.name, base.dockerfile)
    with tempfile.TemporaryDirectory(prefix="ubiq-context-") as directory:
        context = _context(base, Path(directory), site)
        run = _Run(base.name, site)
        return run.image_of(
            site.engine.build(
                path=str(context),
                buildargs=dict(base.buildargs),
                labels=dict(site.labels),
                network_mode=base.network_mode,
                timeout=int(base.timeout),
            )
        )


def _context(base: Base, directory: Path, site: Site) -> Path:
    """The build context: a directory of this host, or fetched from the file server."""
    url = base.dockerfile
    if not url.startswith("salt://"):
        context = Path(url)
    else:
        context = directory
        functions = site.functions()
        prefix = url.removeprefix("salt://").strip("/")
        for path in functions["cp.list_master"](base.saltenv, f"{prefix}/"):
            target = directory / PurePosixPath(path).relative_to(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(functions["cp.cache_file"](f"salt://{path}", base.saltenv), target)
    if not (context / "Dockerfile").is_file():
        raise BuildError(f"{base.where('dockerfile')}: there is no Dockerfile in {url}")
    return context


class _Run:
    """One ``docker build``, from what it prints."""

    def __init__(self, name: str, site: Site) -> None:
        self._name = name
        self._site = site
        self._step = "before its first step"
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._layers: list[str] = []

    def image_of(self, messages: Iterable[dict[str, Any]]) -> str:
        """Follow the build to its end and return the image's ID."""
        image_id = ""
        try:
            for message in messages:
                self._note(message.get("stream", ""))
                image_id = message.get("aux", {}).get("ID", image_id)
                if "error" in message:
                    raise BuildError(self._failure(message["error"].strip()))
        except BaseException:
            for layer in reversed(self._layers):
                self._site.engine.remove_image(layer)
            raise
        return image_id

    def _note(self, text: str) -> None:
        if not text.strip():
            return
        self._site.log_line(text.rstrip())
        if step := _STEP.match(text):
            self._step = f"at step {step['number']}, {step['instruction'].strip()}"
            self._lines.clear()
            log.info("%s: %s", self._name, text.strip())
        elif layer := _LAYER.match(text):
            self._layers.append(layer["id"])
        elif _CACHED in text:
            self._layers.clear()  # what came before is another build's, too
        elif not text.startswith(_CHATTER):
            self._lines.extend(text.strip().splitlines())

    def _failure(self, error: str) -> str:
        printed = "".join(f"\n  {line}" for line in self._lines)
        return f"{self._name}: the Dockerfile fails {self._step}: {error}{printed}"

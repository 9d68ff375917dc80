"""
A base: its bootstrapped FROM, its build context, and ``docker build``.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import docker.utils.build

from salt_ubiq.builds import git_checkout, labels, origins
from salt_ubiq.builds.origins import Origins
from salt_ubiq.catalogue.models import Base
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine import bootstrap
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import MADE_OF, RECIPE
from salt_ubiq.errors import BuildError, EngineError
from salt_ubiq.recipes import recipe
from salt_ubiq.recipes.on_image import to_label
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.registry.pulls import Pulls

log = logging.getLogger(__name__)

# Docker's, and Podman's.
_STEP = re.compile(r"(?:Step|STEP) (?P<number>\d+/\d+) ?: (?P<instruction>.*)", re.DOTALL)
_LAYER = re.compile(r" ---> (?P<id>[0-9a-f]{12})\s*")
_CACHED = " ---> Using cache"
_CHATTER = (" ---> ", "Removing intermediate container")
_LAST_LINES = 5


@dataclass(frozen=True)
class BuiltBase:
    """
    recipe
        what the base is made of

    parent
        what it is FROM, in the end; ``None`` for scratch
    """

    recipe: Recipe
    parent: ImageInfo | None


def build(base: Base, session: BuildSession, run: str, anew: bool = False) -> BuiltBase:
    """
    Build ``base`` to the slot's private reference, first its FROM where that is to be
    bootstrapped.

    run
        the name of the run that builds it

    anew
        use nothing that is there already: neither FROM nor cached steps

    Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image, and what there is
    of it goes with what else is in the slot.
    """
    if base.bootstrap and (anew or not session.engine.images.find(base.bootstrap.image)):
        bootstrap.make(base.bootstrap, session.engine)
    log.info("%s: building %s", base.name, base.dockerfile)
    with _context(base, session) as context:
        text = _text_of(base, context)
        made_from = origins.read(text, base.buildargs)
        _pull(base, made_from, session, anew)
        made_of = _recipe(base, context, session, {})
        name = made_from.parent
        parent = session.engine.images.existing(name) if name else None
        said = labels.of_base(
            base,
            text,
            parent,
            name or "",
            labels.Provenance(
                run,
                datetime.now(timezone.utc),
                git_checkout.checkout_of_context(
                    base.dockerfile, git_checkout.state_roots(session.opts, base.saltenv)
                ),
            ),
        )
        _Progress(base.name, session).follow(
            session.engine.images.build(
                path=str(context),
                tag=session.slot.reference,
                buildargs=dict(base.buildargs),
                labels={**said, RECIPE: made_of.digest, MADE_OF: to_label(made_of)},
                network_mode=base.network_mode,
                timeout=int(base.timeout),
                nocache=anew,
            )
        )
        return BuiltBase(made_of, parent)


def recipe_of(base: Base, session: BuildSession, known: Mapping[str, str]) -> Recipe:
    """
    Return the recipe of ``base`` as it is now.

    known
        the IDs of what it was built FROM: what isn't on the engine any more can't
        have changed there

    Raises :class:`~salt_ubiq.errors.BuildError`.
    """
    with _context(base, session) as context:
        return _recipe(base, context, session, known)


def _text_of(base: Base, context: Path) -> str:
    try:
        return (context / "Dockerfile").read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise BuildError(
            f"{base.where('dockerfile')}: its Dockerfile is not UTF-8: {exc}"
        ) from None


def _recipe(base: Base, context: Path, session: BuildSession, known: Mapping[str, str]) -> Recipe:
    parents = {}
    text = _text_of(base, context)
    for reference in origins.read(text, base.buildargs).images:
        if base.bootstrap and reference == base.bootstrap.image:
            # Its ID is this host's alone; of its mirror, a password is of no matter.
            parents[reference] = session.clean(base.bootstrap.model_dump_json())
            continue
        found = session.engine.images.find(reference)
        parents[reference] = found.id if found else known.get(reference, "")
    hashes = _hashes(context, base.dockerfile.rstrip("/"))
    return recipe.of_base(base, parents, hashes, session.recipe_key)


def _pull(base: Base, made_from: Origins, session: BuildSession, anew: bool) -> None:
    """Have all images that a Dockerfile takes, so that the recipe can tell what they were."""
    for reference in made_from.images:
        made_here = base.bootstrap and reference == base.bootstrap.image
        if not made_here and (anew or session.engine.images.find(reference) is None):
            try:
                Pulls(session.engine, session.workspace).pull(reference)
            except EngineError as exc:
                instruction = "FROM " if reference in made_from.stages else "COPY --from="
                raise BuildError(
                    f"{base.where('dockerfile')}: {instruction}{reference}: {exc}; "
                    "the base's bootstrap can make an image of Debian without a registry"
                ) from None


def _hashes(context: Path, url: str) -> dict[str, str]:
    """The hash of every file of a build context that the engine is sent, by URL or path."""
    ignore = context / ".dockerignore"
    patterns = ignore.read_text(errors="surrogateescape").splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    hashes = {}
    for name in docker.utils.build.exclude_paths(str(context), patterns):
        path = context / name
        if path.is_file() or path.is_symlink():
            link = path.is_symlink()
            content = str(path.readlink()).encode() if link else path.read_bytes()
            mode = path.lstat().st_mode
            hashes[f"{url}/{name}"] = hashlib.sha256(b"%o " % mode + content).hexdigest()
    return hashes


@contextmanager
def _context(base: Base, session: BuildSession) -> Iterator[Path]:
    """The build context: a directory of this host, or fetched from the file server."""
    url = base.dockerfile
    with tempfile.TemporaryDirectory(prefix="ubiq-context-") as directory:
        context = Path(directory if url.startswith("salt://") else url)
        if url.startswith("salt://"):
            _fetch(base, context, session)
        if not (context / "Dockerfile").is_file():
            raise BuildError(f"{base.where('dockerfile')}: there is no Dockerfile in {url}")
        yield context


def _fetch(base: Base, directory: Path, session: BuildSession) -> None:
    functions = session.functions()
    prefix = base.dockerfile.removeprefix("salt://").strip("/")
    for path in functions["cp.list_master"](base.saltenv, f"{prefix}/"):
        target = directory / PurePosixPath(path).relative_to(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(functions["cp.cache_file"](f"salt://{path}", base.saltenv), target)


class _Progress:
    """How far one ``docker build`` is, from what it prints."""

    def __init__(self, name: str, session: BuildSession) -> None:
        self._name = name
        self._session = session
        self._step = "before its first step"
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._layers: list[str] = []
        self._makes_layer = False

    def follow(self, messages: Iterable[dict[str, Any]]) -> None:
        """Follow the build to its end."""
        for message in messages:
            self._note(message.get("stream", ""))
            if "error" in message:
                raise BuildError(self._failure(message["error"].strip()))
        self._record_layers([])

    def _note(self, text: str) -> None:
        if not text.strip():
            return
        self._session.log_line(text.rstrip())
        if step := _STEP.match(text):
            self._step = f"at step {step['number']}, {step['instruction'].strip()}"
            self._lines.clear()
            self._makes_layer = not step["instruction"].upper().startswith("FROM")
            log.info("%s: %s", self._name, self._session.clean(text.strip()))
        elif layer := _LAYER.match(text):
            if self._makes_layer:
                self._record_layers([*self._layers, layer["id"]])
        elif _CACHED in text:
            self._makes_layer = False
            self._record_layers([])  # what came before is another build's, too
        elif not text.startswith(_CHATTER):
            self._lines.extend(text.strip().splitlines())

    def _record_layers(self, layers: list[str]) -> None:
        self._layers = layers
        self._session.slot.record_layers(layers)

    def _failure(self, error: str) -> str:
        printed = "".join(f"\n  {line}" for line in self._lines)
        return f"{self._name}: the Dockerfile fails {self._step}: {error}{printed}"

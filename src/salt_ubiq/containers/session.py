"""
Where and with what one image is built.

A build has a slot to itself. What a dead build has left in one, on disk and on the
engine, is removed before another gets it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import salt.loader

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import KEY, Questions
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import EngineError, UbiqError
from salt_ubiq.redact import Redactor
from salt_ubiq.registry.logins import KEY as LOGINS
from salt_ubiq.sensitive import secrets
from salt_ubiq.workspace.files import opened
from salt_ubiq.workspace.slots import AT_WORK, PRIVATE, Slot, Workspace

log = logging.getLogger(__name__)

T = TypeVar("T")
QUESTIONED = ".questioned"
"""What the name of a slot's other container ends with, which answers what its states ask."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


def redactor(
    opts: Mapping[str, Any], pillar: Mapping[str, Any], named: Iterable[str] = ()
) -> Redactor:
    """What hides the secrets of ``__pillar__``, and of what builds take from ``__opts__``."""
    config = {key: opts[key] for key in opts if key == KEY or str(key).endswith(LOGINS)}
    return Redactor(_without_names(pillar), _without_names(config), named=named)


def _without_names(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The catalogue says under ``secrets`` where they are: no value there is one."""
    catalogue = values.get(KEY)
    if not isinstance(catalogue, Mapping):
        return values
    return {**values, KEY: {key: catalogue[key] for key in catalogue if key != "secrets"}}


@contextmanager
def _without_secrets(clean: Redactor) -> Iterator[None]:
    """Whatever goes wrong in here tells none of them."""
    try:
        yield
    except UbiqError as exc:
        exc.args = tuple(clean.plain(exc.args))
        raise


@dataclass(frozen=True)
class BuildSession:
    """
    opts
        Salt's ``__opts__``

    clean
        takes pillar's secrets out of a text; it can learn more of them

    log_path
        of the build's log

    log_line
        writes a line, cleaned, to the build's log

    known
        what was asked of Salt before, see :meth:`once`

    secrets
        paths into pillar whose values are secret, whatever they look like

    recipe_key
        what digests of recipes are made with

    questions
        who answers what states ask while they render
    """

    engine: Engine
    workspace: Workspace
    slot: Slot
    opts: Mapping[str, Any]
    clean: Redactor
    log_path: str
    log_line: Callable[[str], None]
    known: dict[Hashable, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    recipe_key: str = field(default="", repr=False)
    questions: Questions = field(default_factory=Questions)

    def once(self, key: Hashable, ask: Callable[[], T]) -> T:
        """What ``ask`` returns; all of one :class:`BuildSessions` ask only once for each key."""
        if key not in self.known:
            self.known[key] = ask()
        answer: T = self.known[key]
        return answer

    @property
    def extension_modules(self) -> Path:
        """The directory for the extension modules of the tree that is built from."""
        return self.slot.cachedir / "extmods"

    def salt_opts(self, more: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
        """Salt's opts for builds, with a cache of their own."""
        return {
            **self.opts,
            "cachedir": str(self.slot.cachedir),
            "extension_modules": str(self.extension_modules),
            "docker.exec_driver": "docker-exec",  # needed by name only, see containers/client.py
            "docker.update_mine": False,  # parallel builds would corrupt the mine's file
            "fileserver_list_cache_time": 0,  # a file that was just added is there
            "test": False,
            **more,
        }

    def functions(
        self, opts: Mapping[str, Any] = NOTHING, context: Mapping[str, Any] = NOTHING
    ) -> Any:
        """Salt's execution modules, with more opts and a ``__context__``."""
        opts = self.salt_opts(opts)
        return salt.loader.minion_mods(opts, context=dict(context), utils=salt.loader.utils(opts))

    def state_functions(self, opts: Mapping[str, Any] = NOTHING) -> Any:
        """Salt's state modules as this host has them."""
        opts = self.salt_opts(opts)
        utils = salt.loader.utils(opts)
        functions = salt.loader.minion_mods(opts, utils=utils)
        return salt.loader.states(opts, functions, utils, salt.loader.serializers(opts))


class BuildSessions:
    """
    Gives out sessions.

    opts, pillar
        Salt's ``__opts__`` and ``__pillar__``

    catalogue
        what they have declared
    """

    def __init__(
        self,
        engine: Engine,
        workspace: Workspace,
        thin: Thin,
        opts: Mapping[str, Any],
        pillar: Mapping[str, Any],
        catalogue: Catalogue,
    ) -> None:
        self._engine = engine
        self._workspace = workspace
        self._thin = thin
        self._opts = opts
        self._pillar = pillar
        self._secrets = catalogue.secrets
        self._recipe_key = catalogue.digest_key
        self._questions = catalogue.questions
        self._known: dict[Hashable, Any] = {}

    @cached_property
    def _redactor(self) -> Redactor:
        known = redactor(self._opts, self._pillar, self._secrets)
        known.hide(secrets(self._engine.proxies))
        return known

    @contextmanager
    def session(self, image: str, declared: Mapping[str, Any] = NOTHING) -> Iterator[BuildSession]:
        """
        A session for a while; nothing is in its slot, before and after.

        image
            the name of what is built there

        declared
            what that declares: pillar of its own, and what else may be secret
        """
        with self._workspace.lock(AT_WORK, shared=True), self._clean_slot() as slot:
            self._thin.provide_none(slot)
            clean = self._redactor.copy()
            clean.hide(secrets(declared) | secrets(declared.get("pillar"), self._secrets))
            with _without_secrets(clean):
                yield BuildSession(
                    engine=self._engine,
                    workspace=self._workspace,
                    slot=slot,
                    opts=self._opts,
                    clean=clean,
                    log_path=str(self._workspace.log_of(image)),
                    log_line=lambda _: None,
                    known=self._known,
                    secrets=self._secrets,
                    recipe_key=self._recipe_key,
                    questions=self._questions,
                )

    @contextmanager
    def logged(self, image: str, declared: Mapping[str, Any]) -> Iterator[BuildSession]:
        """A session whose log is kept, and where nothing is left of dead builds in any slot."""
        self.remove_leftovers()
        with (
            opened(self._workspace.log_of(image), "w", buffering=1) as handle,
            self.session(image, declared) as session,
        ):
            yield replace(session, log_line=lambda line: print(session.clean(line), file=handle))

    def remove_leftovers(self, test: bool = False) -> list[str]:
        """Remove what dead builds have left on the engine, or only return their names."""
        found = []
        with self._workspace.free_slots() as slots:
            for slot in slots:
                found += [
                    each for each in _containers(slot) if self._engine.containers.exists(each)
                ]
                found += self._private_tags(slot)
                if not test:
                    self._clean(slot)
        return found

    @contextmanager
    def _clean_slot(self) -> Iterator[Slot]:
        with self._workspace.slot() as slot:
            self._clean(slot)  # a dead process may have left something there
            try:
                with slot.temporary_files():
                    yield slot
            finally:
                self._clean(slot)

    def _clean(self, slot: Slot) -> None:
        slot.clean()
        try:
            for name in _containers(slot):
                if self._engine.containers.remove(name):
                    log.info("removed the build container %s", name)
            for reference in (*self._private_tags(slot), *slot.layers):
                self._engine.images.remove(reference)
            slot.record_layers(())
        except EngineError as exc:
            log.warning("%s; the next build will try again", exc)

    def _private_tags(self, slot: Slot) -> list[str]:
        return [each for each in self._engine.images.references(PRIVATE) if slot.owns(each)]


def _containers(slot: Slot) -> tuple[str, ...]:
    """The names that a build's containers may have."""
    return slot.name, f"{slot.name}{QUESTIONED}"

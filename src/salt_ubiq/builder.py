"""
Building one image: a base from its Dockerfile, a service by ``docker.sls_build``.

Whatever happens in between, the image's tags move last, from the old image to
the finished new one.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from salt_ubiq import dockerfile, runtime
from salt_ubiq.catalogue import Base, Catalogue, Service
from salt_ubiq.container import Surroundings
from salt_ubiq.engine import LABEL, Engine, ImageInfo
from salt_ubiq.errors import (
    BuildCancelled,
    BuildError,
    EngineError,
    NoTools,
    StatesFailed,
    UbiqError,
)
from salt_ubiq.redact import Redactor
from salt_ubiq.report import Result, States, new_run_id
from salt_ubiq.runtime import RuntimeVolume
from salt_ubiq.site import Site
from salt_ubiq.slsbuild import SlsBuild
from salt_ubiq.thin import Thin
from salt_ubiq.workspace import Slot, Workspace

log = logging.getLogger(__name__)


class Builder:
    """
    Builds images of a catalogue on one engine.

    opts, pillar
        Salt's ``__opts__`` and ``__pillar__``

    run
        the name of the run that this is part of; by default a new one
    """

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        opts: Mapping[str, Any],
        pillar: Mapping[str, Any],
        run: str | None = None,
    ) -> None:
        self.engine = engine
        self._catalogue = catalogue
        self._opts = opts
        self._pillar = pillar
        self.workspace = Workspace(opts["cachedir"])
        self._thin = Thin(self.workspace, opts)
        self.run = run or new_run_id()

    def build(self, image: Base | Service) -> Result:
        """
        Build an image whose parent is there, and move its tags.

        Raises :class:`~salt_ubiq.errors.UbiqError`; then the tags are as they were.
        """
        started = time.monotonic()
        waiting = f"{image.name}: waiting for another build of it to end"
        with self.workspace.lock(f"image-{image.name}", waiting), self._site(image) as site:
            old = self.engine.image(image.reference)
            try:
                if isinstance(image, Base):
                    parent, states = None, States()
                    new_id = dockerfile.build(image, site)
                else:
                    parent = self._parent(image)
                    states = self._build_service(image, parent, site)
                    new_id = self.engine.existing(site.slot.reference).id
                self.engine.tag(new_id, image.references)
            except BuildError as exc:
                site.log_line(str(exc))
                exc.log = str(self.workspace.log_of(image.name))
                raise
            except (KeyboardInterrupt, SystemExit):
                raise BuildCancelled(f"{image.name}: cancelled, tags are as they were") from None
        log.info("%s: built %s", image.name, ", ".join(image.references))
        return Result(
            name=image.name,
            image=image.reference,
            action="built",
            id=new_id,
            old_id=old.id if old else None,
            parent=parent.id if parent else None,
            states=states,
            duration=time.monotonic() - started,
            log=str(self.workspace.log_of(image.name)),
            size=self.engine.existing(new_id).size,
        )

    def _build_service(self, service: Service, parent: ImageInfo, site: Site) -> States:
        try:
            surroundings = self._surroundings(service, parent, site.slot)
            return SlsBuild(service, parent, site, surroundings).run()
        except NoTools as exc:
            raise BuildError(
                f"{service.where('base')}: {service.base} is too bare: {exc}"
            ) from None

    def attempt(self, image: Base | Service) -> Result:
        """Build an image as :meth:`build` does; a failure is a result, too."""
        started = time.monotonic()
        try:
            return self.build(image)
        except UbiqError as exc:
            failed = exc.failed if isinstance(exc, StatesFailed) else ()
            return Result(
                name=image.name,
                image=image.reference,
                action="failed",
                states=States(failed=failed),
                duration=time.monotonic() - started,
                error=str(exc).partition("\nlog: ")[0],
                log=exc.log if isinstance(exc, BuildError) else None,
            )

    def remove_leftovers(self, test: bool = False) -> list[str]:
        """Remove what dead builds have left on the engine, or only return their names."""
        found = []
        with self.workspace.free_slots() as slots:
            for slot in slots:
                if self.engine.has_container(slot.name):
                    found.append(slot.name)
                if self.engine.image(slot.reference):
                    found.append(slot.reference)
                if not test:
                    self._clean(slot)
        return found

    def is_own_cache(self, volume: str) -> bool:
        """Say whether that is a cache volume of this workspace's slots."""
        return volume.startswith(f"{runtime.CACHE_NAME}{self.workspace.slot_prefix}")

    @property
    def runtime_name(self) -> str | None:
        """The volume of the Salt runtime that the catalogue asks for, made or not."""
        return self._runtime.name if self._runtime else None

    @contextmanager
    def _site(self, image: Base | Service) -> Iterator[Site]:
        """A free slot and a log, for the time of one build."""
        self.remove_leftovers()
        path = self.workspace.log_of(image.name)
        with self.workspace.slot() as slot, path.open("w", buffering=1) as handle:
            clean = Redactor(self._pillar, image.pillar if isinstance(image, Service) else {})
            try:
                yield Site(
                    engine=self.engine,
                    workspace=self.workspace,
                    slot=slot,
                    opts=self._opts,
                    labels=self._labels(image),
                    clean=clean,
                    log_line=lambda line: print(clean(line), file=handle),
                )
            finally:
                self._clean(slot)

    def _clean(self, slot: Slot) -> None:
        """Remove what a build in that slot, perhaps a dead one, has left."""
        shutil.rmtree(slot.pillar, ignore_errors=True)
        try:
            if self.engine.remove_container(slot.name):
                log.info("removed the build container %s", slot.name)
            self.engine.remove_image(slot.reference)
        except EngineError as exc:
            log.warning("%s; the next build will try again", exc)

    def _labels(self, image: Base | Service) -> dict[str, str]:
        labels = {f"{LABEL}.image": image.name}
        if isinstance(image, Service):
            # Not on a base: the run's name would make every build of it a new image.
            labels |= {f"{LABEL}.run": self.run, f"{LABEL}.mods": ",".join(image.mods)}
        return labels

    def _surroundings(self, service: Service, parent: ImageInfo, slot: Slot) -> Surroundings:
        """The runtime, and a cache for packages; or nothing, and Salt copied in."""
        environment = service.build.get("environment", {})
        if self._runtime is None:
            self._thin.provide_whole(slot)
            return runtime.surroundings(None, None, environment)
        self._thin.provide_none(slot)
        volume = self._runtime.ensure(parent)
        cache = f"{runtime.CACHE_NAME}{slot.name}" if service.package_cache else None
        if cache:
            self.engine.create_volume(cache, {f"{LABEL}.kind": "cache"})
        return runtime.surroundings(volume, cache, environment)

    @cached_property
    def _runtime(self) -> RuntimeVolume | None:
        source = self._catalogue.runtime
        if source is None:
            return None
        return RuntimeVolume(source, self.engine, self.workspace, self._thin)

    def _parent(self, service: Service) -> ImageInfo:
        image = self._catalogue.parent_of(service)
        reference = image.reference if image else service.base
        found = self.engine.image(reference)
        if found:
            return found
        if image:
            raise BuildError(f"{service.where('base')}: {image.name} has to be built first")
        try:
            return self.engine.pull(reference)
        except EngineError as exc:
            raise BuildError(
                f"{service.where('base')}: {reference} is not on the engine; {exc}"
            ) from None

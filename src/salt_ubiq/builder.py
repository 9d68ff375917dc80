"""
Building one image: a base from its Dockerfile, a service by ``docker.sls_build``.

Whatever happens in between, the image's tags move last, from the old image to
the finished new one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from salt_ubiq import dockerfile, labels, runtime, saltcall
from salt_ubiq.catalogue import Base, Catalogue, Service
from salt_ubiq.engine import LABEL, LOG, Engine, ImageInfo
from salt_ubiq.errors import (
    BuildCancelled,
    BuildError,
    EngineError,
    NoTools,
    NotVerified,
    RegistryError,
    UbiqError,
)
from salt_ubiq.layers import SharedLayers
from salt_ubiq.parents import Parents
from salt_ubiq.proof import Proof, prove
from salt_ubiq.recipe import Recipe
from salt_ubiq.recipes import Recipes
from salt_ubiq.registry import Registry, credentials
from salt_ubiq.report import Result, States, in_short, new_run_id
from salt_ubiq.runtime import RuntimeVolume
from salt_ubiq.saltcall import SaltContainer
from salt_ubiq.site import Site, Sites
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
        self.sites = Sites(engine, self.workspace, self._thin, opts, pillar, catalogue)
        self.recipes = Recipes(self.workspace)
        self.parents = Parents(self.workspace)
        self.run = run or new_run_id()

    def build(
        self,
        image: Base | Service,
        forced: Sequence[str] = (),
        since: float | None = None,
        push: bool = False,
    ) -> Result:
        """
        Build an image whose parent is there, prove that it works, move its tags, and push it.

        forced
            why to build it even if it is what is declared

        since
            when: use nothing that was made before then, of the engine's build cache
            and of shared layers; ``None`` to use what there is

        push
            push it even if its declaration does not say so

        Raises :class:`~salt_ubiq.errors.UbiqError`; then the tags are as they were, or the
        image is complete and not in its registry.
        """
        started = time.monotonic()
        waiting = f"{image.name}: waiting for another build of it to end"
        with self.workspace.lock(f"image-{image.name}", waiting):
            with _cancellable(f"{image.name}: cancelled, tags are as they were"):
                if image.push and not forced:
                    self._pull_missing(image)
                reasons = list(forced) or self.reasons(image)
                if reasons:
                    log.info("%s: %s", image.name, in_short(reasons))
                    result = self._build(image, reasons, since, started)
                else:
                    result = self.up_to_date(image, started)
            if image.push or push:
                with _cancellable(f"{image.name}: cancelled; the image is there, but not pushed"):
                    pushed = self.registry.push(image)
                    result = replace(result, pushed=tuple(asdict(each) for each in pushed))
            return result

    def _pull_missing(self, image: Base | Service) -> None:
        """Get an image from its registry; whether it is what is declared, its recipe tells."""
        if self.engine.image(image.reference) is None:
            try:
                self.registry.pull(image)
            except RegistryError as exc:
                log.warning("%s: can't be pulled, so it is built: %s", image.name, exc)

    @cached_property
    def registry(self) -> Registry:
        """Where images are pushed to and pulled from."""
        logins = credentials(self._pillar, self._opts, os.environ)
        return Registry(self.engine, self.workspace, self._catalogue.registry, logins)

    def _build(
        self,
        image: Base | Service,
        reasons: Sequence[str],
        since: float | None,
        started: float,
    ) -> Result:
        with self.sites.logged(image.name, _declared(image)) as site:
            old = self.engine.image(image.reference)
            if isinstance(image, Service) and image.keep_failed:
                self.engine.remove_image(image.failed_reference)  # of an earlier failure
            try:
                if isinstance(image, Base):
                    made = self._build_base(image, site, since is not None)
                else:
                    made = self._build_service(image, site, since)
                warnings = self._prove(image, made, site)
                # Before the tags: of an image that lost them, a record must say that it was ours.
                self.recipes.save(made.recipe, made.image.id)
                self.engine.tag(made.image.id, image.references)
            except BuildError as exc:
                site.log_line(str(exc))
                exc.log = site.log_path
                self._keep_failed(image, exc, site)
                raise
        log.info("%s: built %s", image.name, ", ".join(image.references))
        return Result(
            name=image.name,
            image=image.reference,
            action="built",
            id=made.image.id,
            old_id=old.id if old else None,
            parent=made.parent,
            reasons=tuple(reasons),
            states=made.states,
            warnings=warnings,
            duration=time.monotonic() - started,
            log=str(self.workspace.log_of(image.name)),
            size=made.image.size,
        )

    def _keep_failed(self, image: Base | Service, exc: BuildError, site: Site) -> None:
        """Say under which name there is what has failed, for a look inside."""
        if not isinstance(image, Service) or not image.keep_failed:
            return
        try:
            if isinstance(exc, NotVerified):
                made = self.engine.existing(site.slot.reference)
                self.engine.label(made.id, image.failed_reference, {LOG: site.log_path})
            if self.engine.image(image.failed_reference):
                exc.kept = image.failed_reference
        except EngineError as failure:
            log.warning("%s: can't keep what failed: %s", image.name, failure)

    def up_to_date(self, image: Base | Service, started: float | None = None) -> Result:
        """The result for an image that need not be built; it gets the tags that it lacks."""
        found = self.engine.existing(image.reference)
        self.engine.tag(found.id, image.references)
        log.info("%s: is up to date", image.name)
        return Result(
            name=image.name,
            image=image.reference,
            action="up-to-date",
            id=found.id,
            old_id=found.id,
            duration=time.monotonic() - started if started else 0.0,
            size=found.size,
        )

    def reasons(self, image: Base | Service) -> list[str]:
        """
        Say why an image has to be built; nothing where it is what is declared.

        What keeps its states from compiling is a reason, too: the build will say more.
        """
        found = self.engine.image(image.reference)
        if found is None:
            return ["no image"]
        if not found.recipe:
            return ["the image has no recipe: it was not built by this version of salt-ubiq"]
        old = self.recipes.load(found.recipe)
        try:
            with self.sites.site(image.name, _declared(image)) as site:
                recipe = self._recipe(image, old, site)
        except BuildError as exc:
            first, *more = str(exc).splitlines()
            return [f"{first} {more[0]}" if first.endswith(":") and more else first]
        if recipe.digest == found.recipe:
            return []
        changes = recipe.changes_since(old) if old else []
        return changes or ["the recipe changed; it was built elsewhere, so there is no telling how"]

    def _recipe(self, image: Base | Service, old: Recipe | None, site: Site) -> Recipe:
        if isinstance(image, Base):
            return dockerfile.recipe_of(image, site, old.parent if old else {})
        build = self._sls_build(image, self._parent(image), site)
        return build.recipe_of(build.compiled())

    def _build_base(self, base: Base, site: Site, anew: bool) -> _Made:
        built = dockerfile.build(base, site, self.run, anew)
        image = self.engine.existing(site.slot.reference)
        parent = built.parent.id if built.parent else None
        return _Made(image, parent, States(), built.recipe, None)

    def _build_service(self, service: Service, site: Site, since: float | None) -> _Made:
        parent = self._parent(service)
        layers = SharedLayers(site, partial(self._sls_build, parent=parent, site=site), since)
        beginnings = self._catalogue.shared_beginnings(service)
        try:
            foundation = layers.foundation(service, beginnings, parent)
            build = self._sls_build(service, parent, site, self._labels(service, parent))
            built = layers.run(build, foundation, parent)
        except NoTools as exc:
            raise BuildError(
                f"{service.where('base')}: {service.base} is too bare: {exc}"
            ) from None
        image = self.engine.existing(site.slot.reference)
        return _Made(image, parent.id, built.states, built.recipe, build)

    def _prove(self, image: Base | Service, made: _Made, site: Site) -> tuple[str, ...]:
        """
        Prove that a new image is what it has to be; return what is to be warned of.

        Raises :class:`~salt_ubiq.errors.NotVerified`.
        """
        proof = prove(image, made.image, made.build, site, self._runtime)
        for text in (*proof.failures, *proof.warnings):
            site.log_line(text)
        if proof.failures:
            raise NotVerified(image.name, proof.failures)
        for text in proof.warnings:
            log.warning("%s", text)
        return proof.warnings

    def verify(self, image: Base | Service) -> Proof:
        """
        Prove an image as it is on the engine.

        Raises :class:`~salt_ubiq.errors.BuildError` where there is none.
        """
        found = self.engine.image(image.reference)
        if found is None:
            raise BuildError(f"{image.name}: there is no {image.reference}: build it first")
        with self.sites.site(image.name, _declared(image)) as site:
            build = None
            if isinstance(image, Service):
                build = self._sls_build(image, self._parent(image), site)
            return prove(image, found, build, site, self._runtime)

    def attempt(
        self,
        image: Base | Service,
        forced: Sequence[str] = (),
        since: float | None = None,
        push: bool = False,
    ) -> Result:
        """Build an image as :meth:`build` does; a failure is a result, too."""
        started = time.monotonic()
        try:
            return self.build(image, forced, since, push)
        except (UbiqError, OSError) as exc:
            failed = exc.failed if isinstance(exc, BuildError) else ()
            return Result(
                name=image.name,
                image=image.reference,
                action="failed",
                states=States(failed=failed),
                duration=time.monotonic() - started,
                error=str(exc).partition("\nlog: ")[0],
                log=exc.log if isinstance(exc, BuildError) else None,
            )

    @contextmanager
    def salt_in(self, image: ImageInfo, name: str, **create: Any) -> Iterator[SaltContainer]:
        """
        A container of an image, in which functions of Salt can be called.

        name
            what errors call the image

        create
            arguments of ``docker.create``
        """
        with self.sites.site(name) as site:
            self._prepare(site.slot)
            around = runtime.surroundings(self.runtime_name, None, {})
            with saltcall.container(image, name, site, around, **create) as container:
                yield container

    @property
    def runtime_name(self) -> str | None:
        """The volume of the Salt runtime that the catalogue asks for, made or not."""
        return self._runtime.name if self._runtime else None

    def _labels(self, service: Service, parent: ImageInfo) -> dict[str, str]:
        above = self._catalogue.parent_of(service)
        return labels.of_service(
            service,
            parent,
            above.reference if above else service.base,
            run=self.run,
            created=datetime.now(timezone.utc),
            checkout=labels.checkout_of(
                service.mods, labels.state_roots(self._opts, service.saltenv)
            ),
        )

    def _sls_build(
        self,
        service: Service,
        parent: ImageInfo,
        site: Site,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> SlsBuild:
        """With the runtime and a cache for packages; or with nothing, and Salt copied in."""
        cached = self._runtime is not None and service.package_cache
        cache = f"{runtime.CACHE_NAME}{site.slot.name}" if cached else None
        environment = service.build.get("environment", {})
        return SlsBuild(
            service,
            parent,
            site,
            runtime.surroundings(self.runtime_name, cache, environment),
            partial(self._prepare, site.slot, cache),
            labels,
            self._catalogue.pillar_keys(service),
        )

    def _prepare(self, slot: Slot, cache: str | None = None) -> None:
        """See to it that Salt can run in a container of an image, with a cache for packages."""
        if self._runtime is None:
            self._thin.provide_whole(slot)
            return
        self._thin.provide_none(slot)
        self._runtime.ensure()
        if cache:
            self.engine.create_volume(cache, {f"{LABEL}.kind": "cache"})

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


def _declared(image: Base | Service) -> Mapping[str, Any]:
    """What of its declaration may have secrets."""
    return image.model_dump(
        include={"pillar", "build", "buildargs", "config", "verify", "bootstrap"}
    )


@contextmanager
def _cancellable(message: str) -> Iterator[None]:
    """Salt's commands would end with 0 on Ctrl-C: make it an error."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise BuildCancelled(message) from None


@dataclass(frozen=True)
class _Made:
    """A new image that has no tag of its own yet; ``build`` is a service's."""

    image: ImageInfo
    parent: str | None
    states: States
    recipe: Recipe
    build: SlsBuild | None

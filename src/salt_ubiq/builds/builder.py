"""
Building one image: a base from its Dockerfile, a service by ``docker.sls_build``.

Whatever happens in between, the image's tags move last, from the old image to
the finished new one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from types import MappingProxyType
from typing import Any

from salt_ubiq.builds import base, git_checkout, labels, parent_image, shared_layers
from salt_ubiq.builds.checkpoints import Checkpoints
from salt_ubiq.builds.layers import Foundation, Layers
from salt_ubiq.builds.service import ServiceBuild
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.catalogue.references import is_id
from salt_ubiq.containers.salt import SaltForBuilds
from salt_ubiq.containers.session import BuildSession, BuildSessions
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import LOG
from salt_ubiq.errors import (
    BuildCancelled,
    BuildError,
    EngineError,
    NoTools,
    NotVerified,
    RegistryError,
    UbiqError,
)
from salt_ubiq.human import in_short
from salt_ubiq.recipes import on_image, recipe
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.recipes.unseen import unseen
from salt_ubiq.registry.client import Registry
from salt_ubiq.registry.pulls import Pulls
from salt_ubiq.results import Result, States
from salt_ubiq.verification.proof import Proof, prove
from salt_ubiq.workspace.slots import Workspace

log = logging.getLogger(__name__)

_NO_PARENT = ImageInfo("", {}, 0)
# What Salt says of states that render for no image at all.
_WHATEVER_THE_GRAINS = (
    "No matching sls found",
    "Jinja syntax error",
    "no SLS",
    "no file salt:",
    "is not available on",
)


@dataclass(frozen=True)
class BuildRequest:
    """
    What is asked for of one image.

    run
        the name of the run that this is part of

    because
        why to build it even if it is what is declared

    newer_than
        when: use nothing that was made before then, of the engine's build cache and of shared
        layers; ``None`` to use what there is

    push
        push it even if its declaration does not say so
    """

    image: Base | Service
    run: str
    because: tuple[str, ...] = ()
    newer_than: float | None = None
    push: bool = False


@dataclass(frozen=True)
class Foreseen:
    """
    What a build of an image would do.

    reasons
        why it has to be built

    unseen
        which states of one that is up to date may do something else another time though nothing
        that its recipe has is changed

    start
        the state from which a build goes on, ``None`` where that is not known

    problem
        what will keep its states from compiling, if that is known
    """

    reasons: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    start: str | None = None
    problem: str | None = None


class Builder:
    """
    Builds images of a catalogue on one engine.

    sessions
        where they are built

    salt
        what gets Salt into their containers
    """

    def __init__(
        self,
        engine: Engine,
        workspace: Workspace,
        catalogue: Catalogue,
        sessions: BuildSessions,
        salt: SaltForBuilds,
        registry: Registry,
    ) -> None:
        self._engine = engine
        self._workspace = workspace
        self._catalogue = catalogue
        self._sessions = sessions
        self._salt = salt
        self._registry = registry
        self._recipes = Recipes(workspace)

    def build(self, request: BuildRequest) -> Result:
        """
        Build an image whose parent is there, prove that it works, move its tags, and push it.

        Raises :class:`~salt_ubiq.errors.UbiqError`; then the tags are as they were, or the
        image is complete and not in its registry.
        """
        image, started = request.image, time.monotonic()
        waiting = f"{image.name}: waiting for another build of it to end"
        with self._workspace.lock(f"image-{image.name}", waiting):
            with _cancellable(f"{image.name}: cancelled, tags are as they were"):
                if image.push and not request.because:
                    self._pull_missing(image)
                judged = _Judged(request.because)
                if not request.because:
                    with self._sessions.session(image.name, _declared(image)) as session:
                        judged = self._judged(image, session)
                if judged.reasons:
                    log.info("%s: %s", image.name, in_short(judged.reasons))
                    result = self._build(request, judged, started)
                else:
                    result = self.up_to_date(image, started)
            if image.push or request.push:
                with _cancellable(f"{image.name}: cancelled; the image is there, but not pushed"):
                    pushed = self._registry.push(image)
                    result = replace(result, pushed=tuple(asdict(each) for each in pushed))
            return result

    def attempt(self, request: BuildRequest) -> Result:
        """Build an image as :meth:`build` does; a failure is a result, too."""
        image, started = request.image, time.monotonic()
        try:
            return self.build(request)
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

    def _pull_missing(self, image: Base | Service) -> None:
        """Get an image from its registry; whether it is what is declared, its recipe tells."""
        if self._engine.images.find(image.reference) is None:
            try:
                self._registry.pull(image)
            except RegistryError as exc:
                log.warning("%s: can't be pulled, so it is built: %s", image.name, exc)

    def _build(self, request: BuildRequest, judged: _Judged, started: float) -> Result:
        image = request.image
        with self._sessions.logged(image.name, _declared(image)) as session:
            old = self._engine.images.find(image.reference)
            if isinstance(image, Service) and image.keep_failed:
                self._engine.images.remove(image.failed_reference)  # of an earlier failure
            try:
                if isinstance(image, Base):
                    made = self._build_base(image, session, request)
                else:
                    made = self._build_service(image, session, request, judged.compiled)
                warnings = (*made.warnings, *self._prove(image, made, session))
                # Before the tags: of an image that lost them, a record must say that it was ours.
                self._recipes.save(made.recipe, made.image.id)
                self._engine.images.tag(made.image.id, image.references)
            except BuildError as exc:
                session.log_line(str(exc))
                exc.log = session.log_path
                self._keep_failed(image, exc, session)
                raise
        log.info("%s: built %s", image.name, ", ".join(image.references))
        return Result(
            name=image.name,
            image=image.reference,
            action="built",
            id=made.image.id,
            old_id=old.id if old else None,
            parent=made.parent,
            reasons=judged.reasons,
            states=made.states,
            warnings=warnings,
            duration=time.monotonic() - started,
            log=str(self._workspace.log_of(image.name)),
            size=made.image.size,
        )

    def _keep_failed(self, image: Base | Service, exc: BuildError, session: BuildSession) -> None:
        """Say under which name there is what has failed, for a look inside."""
        if not isinstance(image, Service) or not image.keep_failed:
            return
        try:
            if isinstance(exc, NotVerified):
                made = self._engine.images.existing(session.slot.reference)
                self._engine.images.label(made.id, image.failed_reference, {LOG: session.log_path})
            if self._engine.images.find(image.failed_reference):
                exc.kept = image.failed_reference
        except EngineError as failure:
            log.warning("%s: can't keep what failed: %s", image.name, failure)

    def up_to_date(self, image: Base | Service, started: float | None = None) -> Result:
        """The result for an image that need not be built; it gets the tags that it lacks."""
        found = self._engine.images.existing(image.reference)
        self._engine.images.tag(found.id, image.references)
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
        with self._sessions.session(image.name, _declared(image)) as session:
            return [*self._judged(image, session).reasons]

    def foresee(self, image: Base | Service, parent_is_built: bool = False) -> Foreseen:
        """
        Say what a build of an image would do, and what of that nobody can tell.

        parent_is_built
            before it, so that there is no telling what its states see of it
        """
        with self._sessions.session(image.name, _declared(image)) as session:
            judged = _Judged(()) if parent_is_built else self._judged(image, session)
            if isinstance(image, Base):
                return Foreseen(judged.reasons)
            if judged.compiled is None:
                problem = self._problem(image, session)
                new = problem if problem not in judged.reasons else None
                return Foreseen(judged.reasons, problem=new)
            if not judged.reasons:
                return Foreseen(unseen=unseen(judged.compiled, session.clean))
            return Foreseen(judged.reasons, start=self._start(image, judged.compiled, session))

    def problem(self, image: Service) -> str | None:
        """Say what will keep the states of a service from compiling, so far as that is sure."""
        with self._sessions.session(image.name, _declared(image)) as session:
            return self._problem(image, session)

    def _problem(self, service: Service, session: BuildSession) -> str | None:
        build = self._service_build(service, self._nearest(service), session).imagined()
        try:
            compiled = build.compiled()
            recipe.check(service, compiled, session.clean)
            return "\n".join(build.unknown_functions(compiled)) or None
        except BuildError as exc:
            is_sure = build.is_sure or any(known in str(exc) for known in _WHATEVER_THE_GRAINS)
            return _in_one_line(exc) if is_sure else None

    def _start(self, service: Service, whole: CompiledStates, session: BuildSession) -> str | None:
        """Say from which state a build would go on."""
        if not service.checkpoints or whole.errors:
            return None
        parent = self._parent(service)
        build = self._service_build(service, parent, session)
        layers = Layers(session, parent)
        found = Checkpoints(layers, service.name).found(build, whole, Foundation(parent))
        names = [*build.recipe_of(whole).states]
        if found.count == len(names):
            return f"all of {found.count} states are applied already"
        return f"state {found.count + 1} of {len(names)}: {names[found.count]}"

    def _judged(self, image: Base | Service, session: BuildSession) -> _Judged:
        found = self._engine.images.find(image.reference)
        if found is None:
            return _Judged(("no image",))
        if not found.recipe:
            text = "the image has no recipe: it was not built by this version of salt-ubiq"
            return _Judged((text,))
        old, compiled = self._recipes.load(found.recipe), None
        try:
            if isinstance(image, Base):
                new = base.recipe_of(image, session, old.parent if old else {})
            else:
                build = self._service_build(image, self._parent(image), session)
                compiled = build.compiled()
                new = build.recipe_of(compiled, found.asked)
        except BuildError as exc:
            return _Judged((_in_one_line(exc),))
        if new.digest == found.recipe:
            return _Judged((), compiled)
        changes = new.changes_since(old) if old else []
        told = on_image.from_label(found.made_of)
        if told and not changes:  # built elsewhere
            changes = on_image.changes_since(told, new)
        unknown = "the recipe changed, and the image does not tell in what"
        return _Judged(tuple(changes) or (unknown,), compiled)

    def _build_base(self, image: Base, session: BuildSession, request: BuildRequest) -> _Made:
        built = base.build(image, session, request.run, request.newer_than is not None)
        made = self._engine.images.existing(session.slot.reference)
        parent = built.parent.id if built.parent else None
        return _Made(made, parent, States(), built.recipe, None)

    def _build_service(
        self,
        service: Service,
        session: BuildSession,
        request: BuildRequest,
        compiled: CompiledStates | None,
    ) -> _Made:
        """
        Build a service.

        compiled
            its states, where they are known
        """
        parent = self._parent(service)
        room = parent_image.room(service, parent, self._engine)
        layers = Layers(session, parent, request.newer_than)
        checkpoints = Checkpoints(layers, service.name)
        said = self._labels(service, parent, session, request.run)
        build = self._service_build(service, parent, session, said)
        foundation = Foundation(parent)
        # The image itself is a layer, too.
        beginnings = self._catalogue.shared_beginnings(service)[: room - 1]
        goes_on = service.checkpoints and not request.because and checkpoints.know(parent)
        goes_on = goes_on and room > len(beginnings) + checkpoints.most
        try:
            if goes_on or beginnings:
                whole = compiled or build.compiled()
                make = partial(self._service_build, parent=parent, session=session)
                foundation = shared_layers.foundation(service, beginnings, whole, layers, make)
                if goes_on and not whole.errors:
                    foundation = checkpoints.provided(build, whole, foundation)
            try:
                built = layers.run(build, foundation, checkpoints.retries(foundation))
            finally:
                checkpoints.learn(build.attempt, foundation)
        except NoTools as exc:
            raise BuildError(
                f"{service.where('base')}: {service.base} is too bare: {exc}"
            ) from None
        image = self._engine.images.existing(session.slot.reference)
        warnings = (*parent_image.warnings(service, parent, session.clean), *built.warnings)
        for text in warnings:
            log.warning("%s", text)
        return _Made(image, parent.id, built.states, built.recipe, build, warnings)

    def _prove(self, image: Base | Service, made: _Made, session: BuildSession) -> tuple[str, ...]:
        """
        Prove that a new image is what it has to be; return what is to be warned of.

        Raises :class:`~salt_ubiq.errors.NotVerified`.
        """
        unconverged = made.build.unconverged if made.build else None
        proof = prove(image, made.image, session, self._salt.runtime, unconverged)
        for text in (*proof.failures, *proof.warnings):
            session.log_line(text)
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
        found = self._engine.images.find(image.reference)
        if found is None:
            raise BuildError(f"{image.name}: there is no {image.reference}: build it first")
        with self._sessions.session(image.name, _declared(image)) as session:
            unconverged = None
            if isinstance(image, Service):
                unconverged = self._service_build(image, self._parent(image), session).unconverged
            return prove(image, found, session, self._salt.runtime, unconverged)

    def _labels(
        self, service: Service, parent: ImageInfo, session: BuildSession, run: str
    ) -> dict[str, str]:
        above = self._catalogue.parent_of(service)
        roots = git_checkout.state_roots(session.opts, service.saltenv)
        provenance = labels.Provenance(
            run, datetime.now(timezone.utc), git_checkout.checkout_of(service.mods, roots)
        )
        return labels.of_service(
            service, parent, above.reference if above else service.base, provenance
        )

    def _service_build(
        self,
        service: Service,
        parent: ImageInfo,
        session: BuildSession,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> ServiceBuild:
        environment = service.build.get("environment", {})
        salt = self._salt.in_slot(session.slot, environment, service.package_cache)
        pillar_keys = self._catalogue.pillar_keys(service)
        return ServiceBuild(service, parent, session, salt, labels, pillar_keys)

    def _nearest(self, service: Service) -> ImageInfo:
        """What is on the engine of what a service is built from, directly or not."""
        above = self._catalogue.parent_of(service)
        found = self._engine.images.find(above.reference if above else service.base)
        if found:
            return found
        return self._nearest(above) if isinstance(above, Service) else _NO_PARENT

    def _parent(self, service: Service) -> ImageInfo:
        image = self._catalogue.parent_of(service)
        reference = image.reference if image else service.base
        found = self._engine.images.find(reference)
        if found:
            return found
        if image:
            raise BuildError(f"{service.where('base')}: {image.name} has to be built first")
        if is_id(reference):
            raise BuildError(
                f"{service.where('base')}: this engine has no image of that ID, which registries "
                "don't know: name the image, or pull it by its digest (repository@sha256:…)"
            )
        try:
            return Pulls(self._engine, self._workspace).pull(reference)
        except EngineError as exc:
            raise BuildError(
                f"{service.where('base')}: {reference} is not on the engine; {exc}"
            ) from None


def _in_one_line(exc: BuildError) -> str:
    first, *more = str(exc).splitlines()
    return f"{first} {more[0]}" if first.endswith(":") and more else first


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
class _Judged:
    """Why an image has to be built, and its states, where they were compiled to tell that."""

    reasons: tuple[str, ...]
    compiled: CompiledStates | None = None


@dataclass(frozen=True)
class _Made:
    """A new image that has no tag of its own yet; ``build`` is a service's."""

    image: ImageInfo
    parent: str | None
    states: States
    recipe: Recipe
    build: ServiceBuild | None
    warnings: tuple[str, ...] = ()

"""
What can be done with the images of a catalogue on a host: what the loader modules call, and any
other front. Whatever that needs is put together here, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import Any

from salt_ubiq import sensitive
from salt_ubiq.builds.builder import Builder, BuildRequest, Foreseen
from salt_ubiq.catalogue import ad_hoc, graph
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import KEY, Base, Service
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.catalogue.references import mistake_in_reference
from salt_ubiq.containers import salt_call
from salt_ubiq.containers.salt import SaltForBuilds
from salt_ubiq.containers.session import BuildSessions, redactor
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import (
    BuildCancelled,
    BuildError,
    CatalogueError,
    EngineError,
    Problem,
    UsageError,
    brief,
    joined,
)
from salt_ubiq.host import Host
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.registry.client import Registry
from salt_ubiq.registry.logins import credentials
from salt_ubiq.registry.pulls import Pulls
from salt_ubiq.results import Result
from salt_ubiq.runs import plan
from salt_ubiq.runs.plan import FORCED, Request, Step
from salt_ubiq.runs.progress import Progress, told
from salt_ubiq.runs.records import Runs, new_run_id
from salt_ubiq.runs.run import Outcome, Run, carry_out, one_by_one
from salt_ubiq.runs.workers.local import LocalExecutor
from salt_ubiq.upkeep import packages, prune, readiness
from salt_ubiq.upkeep.outdated import Lookout
from salt_ubiq.upkeep.status import status
from salt_ubiq.verification.proof import Proof
from salt_ubiq.workspace import files
from salt_ubiq.workspace.slots import Workspace

log = logging.getLogger(__name__)

# Keys of images, and of their config, below which anything may stand.
_FREE = (
    "pillar",
    "build",
    "buildargs",
    "bootstrap",
    "verify",
    "env",
    "labels",
    "cmd",
    "entrypoint",
)


class Api:
    """
    The images of a host's catalogue.

    Everything is made when it is first needed: a host without an engine has a catalogue, too.
    Methods raise :class:`~salt_ubiq.errors.UbiqError`.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    # what it is made of

    @cached_property
    def images(self) -> Catalogue:
        """The catalogue; raises :class:`CatalogueError` with all its mistakes."""
        host = self._host
        try:
            images = parse(host.declared)
        except CatalogueError as exc:
            clean = redactor(host.opts, host.pillar)
            problems = [Problem(clean(path), clean(message)) for path, message in exc.problems]
            raise CatalogueError(problems) from None
        self._warn_of_secrets(images)
        return images

    @cached_property
    def engine(self) -> Engine:
        """The engine that Salt's docker module would use."""
        return readiness.connect(self._host.functions)

    @cached_property
    def _workspace(self) -> Workspace:
        return Workspace(self._host.opts["cachedir"])

    @cached_property
    def _recipes(self) -> Recipes:
        return Recipes(self._workspace)

    @cached_property
    def _thin(self) -> Thin:
        return Thin(self._workspace, self._host.opts)

    @cached_property
    def _salt(self) -> SaltForBuilds:
        return SaltForBuilds(self.images.runtime, self.engine, self._workspace, self._thin)

    @cached_property
    def _sessions(self) -> BuildSessions:
        host = self._host
        return BuildSessions(
            self.engine, self._workspace, self._thin, host.opts, host.pillar, self.images
        )

    @cached_property
    def _registry(self) -> Registry:
        logins = credentials(self._host.pillar, self._host.opts, os.environ)
        return Registry(self.engine, self._workspace, self.images.registry, logins)

    @cached_property
    def _builder(self) -> Builder:
        return Builder(
            self.engine, self._workspace, self.images, self._sessions, self._salt, self._registry
        )

    @cached_property
    def _lookout(self) -> Lookout:
        salt_in = partial(salt_call.container_of, self._sessions, self._salt)
        pulls = Pulls(self.engine, self._workspace)
        return Lookout(
            self.images, self.engine, self._recipes, salt_in, self._registry.digest, pulls
        )

    @cached_property
    def _runs(self) -> Runs:
        return Runs(self._workspace.path / "runs")

    def _for_another_process(self) -> Api:
        """The same with connections of its own."""
        another = Api(self._host)
        another.images = self.images
        return another

    # building

    def build_base(self, name: str, request: Request) -> Result:
        """Build a base, unless it is up to date."""
        base = self.images[name]
        if not isinstance(base, Base):
            raise UsageError(f"'{name}' is a service: use ubiq_docker.build_service")
        return self._build(base, request)

    def build_service(self, name: str, given: Mapping[str, Any], request: Request) -> Result:
        """
        Build a service, and before it what it is built from that is not up to date.

        given
            the keys of its declaration that are otherwise, or all of them
        """
        return self._build(ad_hoc.service(self.images, name, given), request)

    def build_all(self, request: Request, jobs: int | None = None) -> Outcome:
        """
        Build images and what they are built from, in order and as many at once as there are slots.

        jobs
            how many at once, ``None`` for as many as there are CPUs
        """
        newer_than = time.time() if request.refresh else None
        run = Run(new_run_id(), self._runs, self._host.fire)
        with told():
            with self._runs.recording_failure():
                steps = self._steps(request)
            due = {step.image.name: step for step in steps if step.due}
            up_to_date = {
                step.image.name: self._builder.up_to_date(step.image)
                for step in steps
                if not step.due
            }

            def build(name: str) -> Result:
                step = due[name]
                wanted = BuildRequest(step.image, run.id, step.because, newer_than, step.push)
                return self._for_another_process()._builder.attempt(wanted)

            def executor(progress: Progress) -> LocalExecutor:
                made = LocalExecutor(jobs or os.cpu_count() or 1, build, progress.refresh)
                kinds = {type(step.image) for step in due.values()}
                # Services alone need it at once, and bases never.
                if made.slots > 1 and kinds == {Base, Service}:
                    made.aside(lambda: self._for_another_process()._salt.provide())
                return made

            try:
                return carry_out(steps, executor, jobs, run, up_to_date)
            except (KeyboardInterrupt, SystemExit):
                text = f"cancelled; see salt-run ubiq.runs, run {run.id}"
                raise BuildCancelled(text) from None
            finally:
                self._sessions.remove_leftovers()

    def _build(self, image: Base | Service, request: Request) -> Result:
        """Build an image, and before it what of its parents is not up to date."""
        newer_than = time.time() if request.refresh else None
        run = new_run_id()
        with told():
            because = self._because(image, request)
            builds: dict[str, Callable[[], Result]] = {
                step.image.name: partial(
                    self._builder.build, BuildRequest(step.image, run, step.because, newer_than)
                )
                for step in self._steps_above(image, request)
                if step.reasons
            }
            wanted = BuildRequest(image, run, because, newer_than, request.push)
            builds[image.name] = partial(self._builder.build, wanted)
            return one_by_one(builds)

    # planning

    def plan(self, request: Request) -> list[dict[str, Any]]:
        """What :meth:`build_all` would do, in order, and what of that nobody can tell."""
        foreseen: dict[str, Foreseen] = {}

        def reasons(image: Base | Service) -> tuple[str, ...]:
            foreseen[image.name] = self._builder.foresee(image)
            return foreseen[image.name].reasons

        steps = self._steps(request, reasons)
        for step in steps:
            if step.image.name not in foreseen:
                found = self._builder.foresee(step.image, parent_is_built=True)
                foreseen[step.image.name] = found
        return [
            {
                **step.to_dict(),
                "from": foreseen[step.image.name].start,
                "problem": foreseen[step.image.name].problem,
                "unseen": [*foreseen[step.image.name].unseen],
            }
            for step in steps
        ]

    def outlook(self, name: str, given: Mapping[str, Any], request: Request) -> dict[str, Any]:
        """What :meth:`build_base` or :meth:`build_service` would do with that image."""
        image = self.images.find(name)
        if not isinstance(image, Base):
            image = ad_hoc.service(self.images, name, given)
        above = self._steps_above(image, request)
        built = tuple(step.image.name for step in above[-1:] if step.reasons)
        why = [*(f"parent {parent} is built" for parent in built), *self._because(image, request)]
        return Step(image, built, tuple(why or self._builder.reasons(image))).to_dict()

    def _steps(
        self, request: Request, reasons: Callable[[Base | Service], Iterable[str]] | None = None
    ) -> list[Step]:
        because = plan.forced(self.images, request)
        if request.refresh:
            because = {**self._lookout.reasons(request.names), **because}
        return plan.steps(self.images, request, reasons or self._builder.reasons, because)

    def _steps_above(self, image: Base | Service, request: Request) -> list[Step]:
        parent = self.images.parent_of(image)
        return self._steps(Request((parent.name,), refresh=request.refresh)) if parent else []

    def _because(self, image: Base | Service, request: Request) -> tuple[str, ...]:
        moved = self._lookout.outdated(image).reasons if request.refresh else ()
        return (*((FORCED,) if request.force else ()), *moved)

    # what there is

    def check(self) -> dict[str, Any]:
        """Whether this host is ready to build; see :func:`readiness.check`."""
        report = readiness.check(self._host.functions, lambda: self.images)
        if report["ready"]:
            report["problems"] = self._problems_of_states()
            report["ready"] = not report["problems"]
        return report

    def _problems_of_states(self) -> list[str]:
        """What will keep the states of services from compiling."""
        services = (image for image in self.images if isinstance(image, Service))
        problems = map(self._builder.problem, services)
        return [line for problem in problems if problem for line in problem.splitlines()]

    def catalogue(self) -> dict[str, Any]:
        """The catalogue as plain data, to be seen by people: without secrets."""
        images = self.images
        clean = redactor(self._host.opts, self._host.pillar, images.secrets)
        plain = images.to_dict()
        for image in (*plain["bases"].values(), *plain["services"].values()):
            for part in (image, image.get("config", {})):
                # Names, tags, ports and the like are what a run on minions needs as they are.
                part |= {key: clean.plain(part[key]) for key in _FREE if key in part}
        return plain

    def status(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What the engine has of images, by name, and whether it is what is declared."""
        return status(self.images, names, self.engine, self._builder.reasons)

    def outdated(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What has moved under images, by name."""
        found = graph.select(self.images.edges, names)
        return {name: self._lookout.outdated(self.images[name]).to_dict() for name in found}

    def packages(self, name: str, fmt: str, dest: str | None) -> Any:
        """
        The packages in an image.

        fmt
            ``list``: versions by name; ``cyclonedx``: the text of a software bill of materials

        dest
            the absolute path of a file to write them to; that is what is returned then
        """
        if fmt not in packages.FORMATS:
            raise UsageError(
                f"no format '{brief(fmt)}': there are {' and '.join(packages.FORMATS)}"
            )
        if dest is not None and not str(dest).startswith("/"):
            raise UsageError(f"dest has to be an absolute path: '{brief(dest)}' is not")
        declared = self.images.find(name)
        reference = declared.reference if declared else name
        if mistake := mistake_in_reference(reference):
            raise UsageError(mistake)
        image = self.engine.images.find(reference)
        if image is None:
            raise EngineError(f"{brief(reference)} is not on the engine: build or pull it first")
        with salt_call.container_of(self._sessions, self._salt, image, reference) as container:
            contents = packages.read(container)
        if fmt == "list":
            found: Any = contents.to_dict()
        else:
            found = packages.sbom(contents, reference, image.id, datetime.now(timezone.utc))
        return found if dest is None else packages.write(found, dest)

    def verify(self, name: str) -> Proof:
        """Verify an image as it is on the engine."""
        return self._builder.verify(self.images[name])

    # what was done

    def log_of(self, name: str) -> str:
        """The log of an image's latest build."""
        text = files.read(self._workspace.log_of(name))
        if text is None:
            raise BuildError(f"no log of '{brief(name)}': it was not built on this host")
        return text

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """The latest runs in short, the latest first."""
        return [each.summary() for each in self._runs.list(limit)]

    def run(self, run: str) -> dict[str, Any]:
        """A run with all its results."""
        return self._runs.load(run).to_dict()

    # what goes

    def push(self, names: Iterable[str], test: bool = False) -> dict[str, dict[str, Any]]:
        """
        See to it that images are in their registry; by the names there.

        test
            only say what would be pushed
        """
        found: dict[str, dict[str, Any]] = {}
        for name in graph.select(self.images.edges, names):
            image = self.images[name]
            if test:
                missing = self._registry.missing(image)
                found |= {
                    each: {"digest": None, "pushed": True, "old": old}
                    for each, old in missing.items()
                }
            else:
                pushed = map(asdict, self._registry.push(image))
                found |= {each.pop("reference"): each for each in pushed}
        return found

    def remove(self, name: str, test: bool = False) -> dict[str, str]:
        """
        Remove an image's tags from the engine; return its IDs by those that were there.

        test
            only say which
        """
        references = self.images[name].references
        found = {reference: self.engine.images.find(reference) for reference in references}
        there = {reference: image.id for reference, image in found.items() if image}
        for reference in () if test else there:
            if not self.engine.images.remove(reference):
                raise EngineError(f"{reference} is used by a container: it stays")
        return there

    def prune(self, kinds: Collection[str], days: float, test: bool) -> dict[str, list[str]]:
        """Remove what builds have left; see :func:`prune.prune`."""
        unknown = [kind for kind in kinds if kind not in prune.KINDS]
        if unknown:
            known = ", ".join(prune.KINDS)
            raise UsageError(f"no kind {joined(unknown)} to prune: there are {known}")
        runtime = self._salt.runtime
        kept = prune.Kept(
            self.engine,
            self._workspace,
            self._sessions,
            self._recipes,
            self._registry.digests,
            runtime.name if runtime else None,
        )
        return prune.prune(kept, kinds or prune.DEFAULT, days, test)

    def _warn_of_secrets(self, images: Catalogue) -> None:
        """Of paths that lead nowhere: what they were meant for may be shown."""
        services = (image for image in images if isinstance(image, Service))
        pillars = [self._host.pillar, *(service.pillar for service in services)]
        for path in images.secrets:
            if all(sensitive.at(each, path) is None for each in pillars):
                log.warning(
                    "%s:secrets: there is no '%s' in this host's pillar, so nothing is hidden "
                    "for it here",
                    KEY,
                    path,
                )

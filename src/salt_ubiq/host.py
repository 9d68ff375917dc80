"""
The host that builds, as Salt's loader gives it to a function.

All of it is read once, when the function is called: where another loader comes across the
function's module, it executes it again, and the dunders are that loader's from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from salt_ubiq import catalogue, pillar, readiness, sensitive
from salt_ubiq.builder import Builder
from salt_ubiq.catalogue import Catalogue, Service
from salt_ubiq.engine import Engine
from salt_ubiq.errors import CatalogueError, PillarError, Problem
from salt_ubiq.outdated import Lookout
from salt_ubiq.runs import Runs
from salt_ubiq.site import redactor
from salt_ubiq.workspace import Workspace

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


@dataclass(frozen=True)
class Host:
    """
    functions, opts, pillar, context
        Salt's ``__salt__``, ``__opts__``, ``__pillar__`` and ``__context__``
    """

    functions: Mapping[str, Callable[..., Any]]
    opts: Mapping[str, Any]
    pillar: Mapping[str, Any]
    context: MutableMapping[str, Any]

    @classmethod
    def of(
        cls,
        functions: Mapping[str, Callable[..., Any]],
        opts: Mapping[str, Any],
        minions: Mapping[str, Any],
        context: MutableMapping[str, Any],
    ) -> Host:
        """The host of these dunders, as they are now."""
        opts, known = dict(opts), dict(minions)
        if not known and opts.get("master_type") == "disable":
            known = opts["pillar"] = pillar.of_masterless_minion(opts)
        return cls(functions, opts, pillar.as_text(known), context)

    @property
    def declared(self) -> object:
        """
        The catalogue as pillar or config has it.

        Raises :class:`PillarError` where pillar does not render: an empty catalogue would say
        less.
        """
        errors = self.pillar.get("_errors")
        if errors:
            why = "pillar does not render:\n" + "\n".join(errors)
            raise PillarError(redactor(self.opts, self.pillar)(why))
        return self.pillar.get(catalogue.KEY) or self.opts.get(catalogue.KEY)

    def images(self) -> Catalogue:
        """The catalogue; raises :class:`CatalogueError` with all its mistakes."""
        try:
            images = catalogue.parse(self.declared)
        except CatalogueError as exc:
            clean = redactor(self.opts, self.pillar)
            problems = [Problem(clean(path), clean(message)) for path, message in exc.problems]
            raise CatalogueError(problems) from None
        self._warn_of_secrets(images)
        return images

    def catalogue(self) -> dict[str, Any]:
        """The catalogue as plain data, to be seen by people: without secrets."""
        images = self.images()
        clean = redactor(self.opts, self.pillar, images.secrets)
        plain = images.to_dict()
        for image in (*plain["bases"].values(), *plain["services"].values()):
            for part in (image, image.get("config", {})):
                # Names, tags, ports and the like are what a run on minions needs as they are.
                part |= {key: clean.plain(part[key]) for key in _FREE if key in part}
        return plain

    def _warn_of_secrets(self, images: Catalogue) -> None:
        """Of paths that lead nowhere: what they were meant for may be shown."""
        services = (image for image in images if isinstance(image, Service))
        pillars = [self.pillar, *(service.pillar for service in services)]
        for path in images.secrets:
            if all(sensitive.at(each, path) is None for each in pillars):
                log.warning(
                    "%s:secrets: there is no '%s' in this host's pillar, so nothing is hidden "
                    "for it here",
                    catalogue.KEY,
                    path,
                )

    def engine(self) -> Engine:
        """The engine that Salt's docker module would use."""
        return readiness.connect(self.functions)

    def builder(self, images: Catalogue, run: str | None = None) -> Builder:
        """What builds these images here, as part of a run."""
        return Builder(self.engine(), images, self.opts, self.pillar, run)

    def lookout(self, images: Catalogue) -> Lookout:
        """What sees what has moved under these images."""
        builder = self.builder(images)
        return Lookout(builder, images, builder.registry.digest)

    @property
    def workspace(self) -> Workspace:
        """Where this host keeps what builds need and leave."""
        return Workspace(self.opts["cachedir"])

    @property
    def runs(self) -> Runs:
        """The records of runs."""
        return Runs(self.workspace.path / "runs")

    def fire(self, tag: str, data: Mapping[str, Any]) -> None:
        """Send an event to the master's bus, where this is a minion's daemon."""
        if self.opts.get("__role") == "minion" and not self.opts.get("local"):
            self.functions["event.send"](tag, data)

    def exit_with(self, status: int) -> None:
        """Set the status that ``salt-call`` exits with."""
        self.context["retcode"] = status

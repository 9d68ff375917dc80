"""
The host that builds, as Salt's loader gives it to a function.

All of it is read once, when the function is called: where another loader comes across the
function's module, it executes it again, and the dunders are that loader's from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from salt_ubiq.builds import service_pillar
from salt_ubiq.catalogue.models import KEY
from salt_ubiq.containers.session import redactor
from salt_ubiq.errors import PillarError


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
        pillar: Mapping[str, Any],
        context: MutableMapping[str, Any],
    ) -> Host:
        """The host of these dunders, as they are now."""
        opts, known = dict(opts), dict(pillar)
        if not known and opts.get("master_type") == "disable":
            known = opts["pillar"] = service_pillar.of_masterless_minion(opts)
        return cls(functions, opts, service_pillar.as_text(known), context)

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
        return self.pillar.get(KEY) or self.opts.get(KEY)

    def fire(self, tag: str, data: Mapping[str, Any]) -> None:
        """Send an event to the master's bus, where this is a minion's daemon."""
        if self.opts.get("__role") == "minion" and not self.opts.get("local"):
            self.functions["event.send"](tag, data)

    def exit_with(self, status: int) -> None:
        """Set the status that ``salt-call`` exits with."""
        self.context["retcode"] = status

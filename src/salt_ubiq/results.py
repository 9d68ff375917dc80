"""
What came of a build, for programs and for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

Action = Literal["built", "up-to-date", "failed", "skipped"]


@dataclass(frozen=True)
class States:
    """How the states of one image fared."""

    total: int = 0
    changed: int = 0
    failed: tuple[dict[str, str], ...] = ()

    @classmethod
    def from_return(
        cls,
        ret: Mapping[str, Mapping[str, Any]],
        clean: Callable[[str], str],
        explained: Callable[[str], str] = str,
    ) -> States:
        """
        Sum up the return of ``state.apply``.

        clean
            applied to every text that is kept

        explained
            applied to what a failed state says
        """
        failed = tuple(
            {
                "id": clean(str(state.get("__id__") or key.split("_|-")[1])),
                "sls": str(state.get("__sls__") or "the states"),
                "function": "{0}.{3}".format(*key.split("_|-")),
                "comment": explained(clean(_comment(state))),
            }
            for key, state in sorted(ret.items(), key=lambda item: item[1].get("__run_num__", 0))
            if state.get("result") is False
        )
        changed = sum(bool(state.get("changes")) for state in ret.values())
        return cls(len(ret), changed, failed)

    def failure(self) -> str:
        """The failed states, a line or more each; those that only waited for them counted."""
        waiting = [state for state in self.failed if "requisite failed" in state["comment"]]
        causes = [state for state in self.failed if state not in waiting] or waiting
        lines = [f"{len(self.failed)} of {self.total} states failed:"]
        for state in causes:
            comment = state["comment"].replace("\n", "\n    ")
            lines.append(f"  {state['sls']}: {state['id']} ({state['function']}): {comment}")
        if causes != waiting and waiting:
            lines.append(f"  and {len(waiting)} that require them")
        return "\n".join(lines)


def _comment(state: Mapping[str, Any]) -> str:
    """A state's comment, and what its command printed: without that nobody can tell why."""
    changes = state.get("changes")
    printed = changes if isinstance(changes, Mapping) else {}
    parts = [state.get("comment", ""), printed.get("stderr"), printed.get("stdout")]
    return "\n".join(str(part).strip() for part in parts if part)


@dataclass(frozen=True)
class Result:
    """What became of one image."""

    name: str
    image: str
    action: Action
    id: str | None = None
    old_id: str | None = None
    parent: str | None = None
    reasons: tuple[str, ...] = ()
    states: States = field(default_factory=States)
    warnings: tuple[str, ...] = ()
    pushed: tuple[dict[str, Any], ...] = ()
    duration: float = 0.0
    error: str | None = None
    log: str | None = None
    size: int | None = None
    attempts: int = 1

    @property
    def is_there(self) -> bool:
        """Whether there is an image as it is declared."""
        return self.action in ("built", "up-to-date")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Result:
        """
        The result that :meth:`to_dict` made ``plain`` of.

        Keys that it doesn't know are left out. Raises ``ValueError`` for what isn't a result.
        """
        return _RESULT.validate_python({**plain})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the loader modules return it."""
        plain = asdict(self)
        plain["reasons"] = list(self.reasons)
        plain["warnings"] = list(self.warnings)
        plain["pushed"] = list(self.pushed)
        plain["states"]["failed"] = list(self.states.failed)
        plain["duration"] = round(self.duration, 1)
        return plain


_RESULT = TypeAdapter(Result)

"""
Watching ``docker.sls_build`` apply states: it returns only the image's ID, and
on failure text that nobody wants to read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import salt.utils.json
from salt.state import _gen_tag

from salt_ubiq.builds.state_failures import explained
from salt_ubiq.catalogue.models import Service
from salt_ubiq.containers.client import Output, called_function
from salt_ubiq.human import human_duration
from salt_ubiq.recipes.recipe import described
from salt_ubiq.results import States

# States of a running system, of which there is none, and those that look at nothing in test mode.
_UNKNOWING = ("service", "archive")
# What engines make anew for each container.
_NEVER_KEPT = tuple(
    map(PurePosixPath, "/etc/hosts /etc/hostname /etc/resolv.conf /dev /proc /sys".split())
)


class StateReturns:
    """
    What Salt does in the build container, from the commands that run there.

    Of the two functions that ``docker.sls_build`` calls there, ``state.pkg`` is
    the states.

    clean
        takes secrets out of a text

    log_line
        writes a line to the build's log

    note
        is told which state begins

    volumes
        of the parent: what is written there is not of the image
    """

    def __init__(
        self,
        clean: Callable[[str], str],
        log_line: Callable[[str], None],
        note: Callable[[str], None] = lambda _: None,
        volumes: Iterable[str] = (),
    ) -> None:
        self._clean = clean
        self._log_line = log_line
        self._note = note
        self._never_kept = (*_NEVER_KEPT, *(PurePosixPath(path) for path in volumes))
        self._returned: Any = None
        self._error = ""
        self._status = 0
        self._begun: _Begun | None = None
        self._ended: dict[str, Mapping[str, Any]] = {}
        self._over_at: float | None = None
        self._pretended: list[str] = []
        self._restored: list[str] = []
        self._killed: list[str] = []

    def announced(self, what: Mapping[str, Any]) -> None:
        """Take note of what Salt says of its states while they run."""
        begun, ended = what.get("begun"), what.get("ended")
        if isinstance(what.get("pretended"), str):
            self._pretended.append(self._clean(what["pretended"]))
        if isinstance(what.get("restored"), Mapping):
            self._restored.append(_Begun.read(what["restored"], self._clean).what)
        if isinstance(what.get("killed"), list):
            self._killed = [self._clean(str(name)) for name in what["killed"]]
        if isinstance(begun, Mapping):
            self._begun = _Begun.read(begun, self._clean)
            self._note(str(self._begun))
        if isinstance(ended, Mapping):
            self._begun = replace(self._begun, over=True) if self._begun else None
            self._ended |= {
                key: state
                for key, state in ended.items()
                if isinstance(state, Mapping) and key.count("_|-") > 2
            }

    def observe(self, command: Sequence[str], output: Output) -> None:
        """Take note of a command that ran in the container."""
        function = called_function(command)
        if output.stderr and (function or output.retcode):
            self._log_line(self._clean(output.stderr))
        self._error = self._clean(output.stderr) if output.retcode else ""
        if function == "state.pkg":
            self._status = output.retcode
            self._over_at = time.monotonic()
            self._returned = _returned(output.stdout)
            self._log_states()

    @property
    def states(self) -> States:
        """How the states fared, so far as they ran."""
        if isinstance(self._returned, Mapping):
            return States.from_return(self._returned, self._clean, explained)
        so_far = States.from_return(self._ended, self._clean, explained)
        return replace(so_far, total=self._begun.of) if self._begun else so_far

    @property
    def changed(self) -> tuple[str, ...]:
        """The states that have changed something, would in test mode, or failed; their names."""
        if not isinstance(self._returned, Mapping):
            return ()
        return tuple(
            described(state.get("__sls__"), *_function(key), _name(key, state), self._clean)
            for key, state in _in_order(self._returned)
            if (state.get("changes") or not state["result"])
            and not _cannot_tell(key, state)
            and not (state["result"] is None and self._is_never_kept(key, state))
        )

    def seconds(self, chunks: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
        """How long each state of the low state took, 0 for those that have not ended."""
        ended = (self._all.get(_gen_tag(chunk), {}) for chunk in chunks)
        return tuple(float(state.get("duration") or 0) / 1000 for state in ended)

    def failed_at(self, chunks: Sequence[Mapping[str, Any]]) -> int | None:
        """How many states of the low state are before the first that failed."""
        ended = (self._all.get(_gen_tag(chunk), {}) for chunk in chunks)
        return next((n for n, each in enumerate(ended) if each.get("result") is False), None)

    @property
    def _all(self) -> Mapping[str, Any]:
        return self._returned if isinstance(self._returned, Mapping) else self._ended

    def warnings(self, service: Service) -> tuple[str, ...]:
        """What is not as whoever wrote the states may think, though they have not failed."""
        returned = self._returned if isinstance(self._returned, Mapping) else {}
        return (
            *(
                f"{service.name}: {_name(key, state)} is of the container, not of the image: what "
                f"{'.'.join(_function(key))} does there is lost"
                for key, state in _in_order(returned)
                if state.get("changes") and self._is_never_kept(key, state)
            ),
            *(
                f"{service.name}: /etc/resolv.conf is of the container, not of the image: what "
                f"this does there is lost: {state}"
                for state in dict.fromkeys(self._restored)
            ),
            *(
                f"{service.name}: service {name} was not started, as it has no init script; in the "
                f"image, {service.where('config:cmd')} starts it"
                for name in dict.fromkeys(self._pretended)
            ),
            *(
                f"{service.name}: {name} did not end when it was told to, and was killed"
                for name in self._killed
            ),
        )

    def _is_never_kept(self, key: str, state: Mapping[str, Any]) -> bool:
        """Whether a state writes what no image has, or a volume hides."""
        if _function(key)[0] != "file":
            return False
        path = PurePosixPath(_name(key, state))
        return any(path == each or each in path.parents for each in self._never_kept)

    @property
    def was_cut_off(self) -> bool:
        """Whether Salt ended before its states."""
        return self._begun is not None and self._returned is None

    def explain(self) -> str:
        """Why it failed, in the words of Salt; empty where Salt said nothing."""
        if isinstance(self._returned, list):
            return self._clean("\n".join(str(error).strip() for error in self._returned))
        if self.was_cut_off:
            return self.cut_off(f"Salt ended with exit status {self._status}")
        if self.states.failed:
            return self.states.failure()
        return f"in the build container: {self._last_words}" if self._last_words else ""

    def cut_off(self, how: str) -> str:
        """Say ``how`` the states were ended, which of them that was, and what is known of them."""
        text = how
        if self._begun and self._returned is None:
            text = f"{text}: {self._begun.so_far(self._over_at or time.monotonic())}"
        if self._last_words and self._last_words not in text:
            text = f"{text}; {self._last_words}"
        return f"{text}\n{self.states.failure()}" if self.states.failed else text

    @property
    def _last_words(self) -> str:
        lines = [line for line in self._error.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _log_states(self) -> None:
        if not isinstance(self._returned, Mapping):
            self._log_line(self.explain())
            return
        for key, state in _in_order(self._returned):
            outcome = "failed" if state["result"] is False else "ok"
            if outcome == "ok" and state.get("changes"):
                outcome = "changed"
            function = ".".join(_function(key))
            name = self._clean(str(state.get("__id__", state.get("name"))))
            seconds = float(state.get("duration") or 0) / 1000
            line = f"{outcome:8}{seconds:7.2f} s  {state.get('__sls__')}: {name} ({function})"
            self._log_line(line)
        whole = States.from_return(self._returned, self._clean)
        if whole.failed:
            self._log_line(whole.failure())


@dataclass(frozen=True)
class _Begun:
    """The state that began last: the how-maniest of how many, what it is, and since when."""

    number: int
    of: int
    what: str
    at: float
    over: bool = False

    @classmethod
    def read(cls, said: Mapping[str, Any], clean: Callable[[str], str]) -> _Begun:
        function = str(said.get("function")).partition(".")[::2]
        what = described(said.get("sls"), *function, said.get("name"), clean)
        number, of = (said.get(key) for key in ("number", "of"))
        return cls(
            number if isinstance(number, int) else 0,
            of if isinstance(of, int) else 0,
            what,
            time.monotonic(),
        )

    def __str__(self) -> str:
        return f"state {self.number} of {self.of}: {self.what}"

    def so_far(self, now: float) -> str:
        if self.over:
            return f"{self.number} of {self.of} states had ended, the last was {self.what}"
        return f"{self}, had run for {human_duration(now - self.at)}"


def _cannot_tell(key: str, state: Mapping[str, Any]) -> bool:
    """Whether a state says in test mode that it would do something, without knowing."""
    return state["result"] is None and _function(key)[0] in _UNKNOWING


def _function(key: str) -> tuple[str, str]:
    """``file`` and ``managed`` of a state's key in the return."""
    return key.partition("_|-")[0], key.rpartition("_|-")[2]


def _name(key: str, state: Mapping[str, Any]) -> str:
    """The state's name as it is declared; not every state returns just that."""
    inner = key.partition("_|-")[2].rpartition("_|-")[0]
    return inner.removeprefix(f"{state.get('__id__')}_|-")


def _in_order(returned: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(returned.items(), key=lambda item: item[1].get("__run_num__", 0))


def _returned(stdout: str) -> Any:
    """The return value in ``salt-call --out json --metadata``'s output."""
    try:
        data = salt.utils.json.find_json(stdout)
    except (ValueError, json.JSONDecodeError):
        return None
    local = data.get("local", data) if isinstance(data, Mapping) else data
    return local.get("return", local) if isinstance(local, Mapping) else local

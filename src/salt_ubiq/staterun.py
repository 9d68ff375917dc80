"""
Watching ``docker.sls_build`` apply states: it returns only the image's ID, and
on failure text that nobody wants to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import salt.utils.json

from salt_ubiq.container import Output, called_function
from salt_ubiq.recipe import described
from salt_ubiq.report import States


class StateRun:
    """
    What Salt does in the build container, from the commands that run there.

    Of the two functions that ``docker.sls_build`` calls there, ``state.pkg`` is
    the states.
    """

    def __init__(self, clean: Callable[[str], str], log_line: Callable[[str], None]) -> None:
        self._clean = clean
        self._log_line = log_line
        self._returned: Any = None
        self._error = ""

    def observe(self, command: Sequence[str], output: Output) -> None:
        """Take note of a command that ran in the container."""
        function = called_function(command)
        if output.stderr and (function or output.retcode):
            self._log_line(self._clean(output.stderr))
        self._error = self._clean(output.stderr) if output.retcode else ""
        if function == "state.pkg":
            self._returned = _returned(output.stdout)
            self._log_states()

    @property
    def states(self) -> States:
        """How the states fared, so far as they ran."""
        if not isinstance(self._returned, Mapping):
            return States()
        return States.from_return(self._returned, self._clean)

    @property
    def changed(self) -> tuple[str, ...]:
        """The states that have changed something, would in test mode, or failed; their names."""
        if not isinstance(self._returned, Mapping):
            return ()
        return tuple(
            described(state.get("__sls__"), *_function(key), _name(key, state), self._clean)
            for key, state in _in_order(self._returned)
            if state.get("changes") or not state["result"]
        )

    def explain(self) -> str:
        """Why it failed, in the words of Salt; empty where Salt said nothing."""
        if isinstance(self._returned, list):
            return self._clean("\n".join(str(error).strip() for error in self._returned))
        if self.states.failed:
            return self.states.failure()
        lines = [line for line in self._error.splitlines() if line.strip()]
        return f"in the build container: {lines[-1]}" if lines else ""

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
        if self.states.failed:
            self._log_line(self.states.failure())


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

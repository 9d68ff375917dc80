"""
Proving that an image works: the checks that its declaration has under ``verify``.

They are done in containers of the image that publish no port. What a server
there answers is asked from inside its container, so the engine may be anywhere.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any

import docker.types

from salt_ubiq.catalogue.models import Base, Check, Service
from salt_ubiq.containers.runtime import MOUNT, RuntimeVolume
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import EngineError

_PROBE = files("salt_ubiq.inside").joinpath("probe.py").read_text()
_ANSWERED, _SAID_WHY_NOT = 0, 1  # what the probe ends with, if nothing ends it
# Seconds: between two looks at a container, and until the engine says that one has ended.
_INTERVAL, _TIME_TO_END = 0.1, 2
_HEALTH_INTERVAL = 1_000_000_000  # nanoseconds: an image's own is 30 s, if it says nothing
# Lines of a container's log, in the sentence that says what failed and in the build's log.
_LAST_LINES, _LOG_LINES = 5, 50
_LONGEST_LINE = 300
# How the engine begins to say why a program can't be started.
_REFUSAL = re.compile(r".*container process(?: caused)?: ", re.DOTALL)


def verify(
    image: Base | Service, built: ImageInfo, session: BuildSession, runtime: RuntimeVolume | None
) -> list[str]:
    """
    Do all checks of an image; return what failed, for each check that did one sentence.

    image
        as it is declared; ``built`` is what was made of it

    session
        its slot's container is used for the checks, one after the other

    runtime
        what asks servers; ``None`` where the image has a ``python3`` of its own

    Raises :class:`~salt_ubiq.errors.EngineError`.
    """
    return _Verification(image, built, session, runtime).failures() if image.verify else []


class _Failed(Exception):
    """A check failed; the message says how."""


class _Verification:
    def __init__(
        self,
        image: Base | Service,
        built: ImageInfo,
        session: BuildSession,
        runtime: RuntimeVolume | None,
    ) -> None:
        self._image = image
        self._id, self._config = built.id, built.config
        self._containers = session.engine.containers
        self._name = session.slot.name
        self._runtime = runtime
        self._note = session.log_line
        self._clean = session.clean

    def failures(self) -> list[str]:
        """Do the checks; in the order of the declaration, what failed."""
        failed: dict[int, str] = {}
        for checks in self._grouped():
            with self._container(list(checks.values())) as container:
                for place, check in checks.items():
                    failure = self._judge(
                        f"{self._image.where('verify')}:{place}", check, container
                    )
                    if failure:
                        failed[place] = failure
        return [failed[place] for place in sorted(failed)]

    def _grouped(self) -> list[dict[int, Check]]:
        """The checks by their places, those together that are done in the same container."""
        groups: dict[Hashable, dict[int, Check]] = {}
        for place, check in enumerate(self._image.verify):
            key: Hashable = frozenset(check.environment.items())
            if check.cmd is not None:
                key = place
            elif check.file is not None:
                key = "files"
            groups.setdefault(key, {})[place] = check
        return list(groups.values())

    def _container(self, checks: list[Check]) -> AbstractContextManager[str]:
        """A container for these checks, not yet started."""
        first, mounts = checks[0], []
        more: dict[str, Any] = {"environment": dict(first.environment)}
        if first.cmd is not None:
            more |= {"entrypoint": list(first.cmd), "healthcheck": {"test": ["NONE"]}}
        elif first.file is not None or not _has_command(self._config):
            more["entrypoint"] = ["never started"]  # the engine wants something
        elif any(check.healthy for check in checks) and _has_healthcheck(self._config):
            own = self._config["Healthcheck"].get("Interval") or _HEALTH_INTERVAL
            more["healthcheck"] = {"interval": min(own, _HEALTH_INTERVAL)}
        if self._runtime and any(check.port or check.http for check in checks):
            mounts = [docker.types.Mount(MOUNT, self._runtime.ensure(), read_only=True)]
        return self._containers.trial(self._id, self._name, mounts, **more)

    def _judge(self, where: str, check: Check, container: str) -> str:
        """Do one check; return what failed, ``""`` for nothing."""
        started = time.monotonic()
        try:
            self._prove(check, container)
        except _Failed as exc:
            lines = self._lines(container, _LOG_LINES)
            if lines:
                self._note(f"{where}: the container's last lines:")
            for line in lines:
                self._note(f"    {line}")
            return f"{where}: {exc}"
        self._note(f"{where}: passed in {time.monotonic() - started:.1f} s")
        return ""

    def _prove(self, check: Check, container: str) -> None:
        if check.cmd is not None:
            self._run(check.cmd, check.timeout, container)
        elif check.file is not None:
            if not self._containers.has_file(container, check.file):
                raise _Failed(f"there is no {check.file}")
        elif check.healthy:
            self._await_health(check.timeout, container)
        else:
            question = check.http.model_dump() if check.http else {"port": check.port}
            self._ask({**question, "timeout": check.timeout}, container)

    def _run(self, command: tuple[str, ...], timeout: float, container: str) -> None:
        text = textwrap.shorten(self._clean(_written(command)), 100, placeholder=" …")
        self._start(text, container)
        if not _becomes(lambda: self._has_ended(container), timeout):
            raise _Failed(self._with_lines(f"{text}: not done after {timeout:g} s", container))
        status = self._containers.state(container)["ExitCode"]
        if status:
            raise _Failed(self._with_lines(f"{text}: exit status {status}", container))

    def _await_health(self, timeout: float, container: str) -> None:
        if not _has_healthcheck(self._config):
            raise _Failed(f"the image has no HEALTHCHECK: {self._set_by('healthcheck')}")
        self._ensure_started(container)
        if not _becomes(lambda: self._is_healthy(container), timeout):
            last = (self._containers.state(container)["Health"]["Log"] or [None])[-1]
            said = "its HEALTHCHECK has not ended once"
            if last:
                lines = self._clean(str(last["Output"])).splitlines()[-_LAST_LINES:]
                said = _indented(f"its HEALTHCHECK ends with {last['ExitCode']}", lines)
            raise _Failed(f"not healthy after {timeout:g} s: {said}")

    def _is_healthy(self, container: str) -> bool:
        self._fail_if_ended(container)
        return bool(self._containers.state(container)["Health"]["Status"] == "healthy")

    def _ask(self, question: dict[str, Any], container: str) -> None:
        """Have the server asked by the probe, until it answers as it should."""
        self._ensure_started(container)
        python = "python3" if self._runtime is None else f"{MOUNT}/bin/python3"
        try:
            asked = self._containers.execute(
                container, [python, "-c", _PROBE, json.dumps(question)]
            )
        except EngineError:
            self._fail_if_ended(container)  # nothing can be run there then
            raise
        if asked.status == _ANSWERED:
            return
        last = (asked.printed.splitlines() or ["nothing was said"])[-1]
        if asked.status == _SAID_WHY_NOT:
            raise _Failed(last)
        _becomes(lambda: self._has_ended(container), _TIME_TO_END)  # with the probe in it
        self._fail_if_ended(container)
        need = "a shell and coreutils" if self._runtime else "python3 (ubiq:runtime is false)"
        raise _Failed(f"port {question['port']} can't be asked, the image needs {need}: {last}")

    def _ensure_started(self, container: str) -> None:
        if not _has_command(self._config):
            raise _Failed(f"the image has no command to start: {self._set_by('cmd')}")
        if self._containers.state(container)["Status"] == "created":
            self._start("the container", container)
        self._fail_if_ended(container)

    def _start(self, what: str, container: str) -> None:
        refusal = self._containers.try_start(container)
        if refusal:
            why = _REFUSAL.sub("", refusal).removesuffix(": unknown")
            raise _Failed(f"{what} can't be started: {why}")

    def _set_by(self, key: str) -> str:
        if isinstance(self._image, Service):
            return f"set {self._image.where('config')}:{key}"
        return f"set {'CMD' if key == 'cmd' else key.upper()} in its Dockerfile"

    def _has_ended(self, container: str) -> bool:
        return self._containers.state(container)["Status"] in ("exited", "dead")

    def _fail_if_ended(self, container: str) -> None:
        if self._has_ended(container):
            status = self._containers.state(container)["ExitCode"]
            sentence = f"the container ended with exit status {status}"
            raise _Failed(self._with_lines(sentence, container))

    def _with_lines(self, sentence: str, container: str) -> str:
        return _indented(sentence, self._lines(container, _LAST_LINES))

    def _lines(self, container: str, count: int) -> list[str]:
        if self._containers.state(container)["Status"] == "created":
            return []
        return [self._clean(line) for line in self._containers.last_lines(container, count)]


def _becomes(true: Callable[[], bool], timeout: float) -> bool:
    """Wait until something is true; say whether it became so in time."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_INTERVAL)
    return True


def _has_command(config: Any) -> bool:
    return bool(config.get("Cmd") or config.get("Entrypoint"))


def _has_healthcheck(config: Any) -> bool:
    test = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    return bool(test[0] != "NONE")


def _written(command: tuple[str, ...]) -> str:
    """A command as a person writes it."""
    is_shell = command[:2] == ("/bin/sh", "-c") and len(command) == 3
    return command[2] if is_shell else shlex.join(command)


def _indented(sentence: str, lines: list[str]) -> str:
    if not lines:
        return sentence
    return f"{sentence}:" + "".join(f"\n    {line[:_LONGEST_LINE]}" for line in lines)

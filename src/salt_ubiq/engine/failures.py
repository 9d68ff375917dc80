"""
What goes wrong with an engine, in sentences.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import urllib3.exceptions

from salt_ubiq.errors import EngineError


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise :class:`~salt_ubiq.errors.EngineError` for whatever the client raises in here."""
    try:
        yield
    except docker.errors.APIError as exc:
        raise EngineError(f"can't {action}: {exc.explanation or exc}") from None
    except (docker.errors.DockerException, OSError, urllib3.exceptions.HTTPError) as exc:
        raise EngineError(f"can't {action}: the engine does not answer ({exc})") from None


def is_without_tools(exc: Exception) -> bool:
    """Say whether a container did not start because its image lacks the program to run."""
    return "executable file not found" in str(exc) or "no such file or directory" in str(exc)


def unreachable(address: str, exc: BaseException) -> str:
    """Say why, and what to do about it."""
    if "PermissionError" in repr(exc) or "Permission denied" in str(exc):
        return (
            f"no permission to use the Docker engine at {address}: "
            "run as root, or add this user to the group docker"
        )
    hint = "start it (systemctl start docker)" if not os.environ.get("DOCKER_HOST") else "check it"
    return f"no Docker engine answers at {address}: {hint}"

"""A build in a process of its own, that can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import docker
from salt.exceptions import CommandExecutionError

from tests.conftest import Host


@contextmanager
def building(host: Host, function: str, *names: str) -> Iterator[BaseProcess]:
    """
    Call a function of ``ubiq_docker`` in a process that is at the head of its group, and
    killed in the end; an error is in :func:`error`.
    """

    def build() -> None:
        os.setsid()
        error(host).unlink(missing_ok=True)
        try:
            host.call(function, *names)
        except CommandExecutionError as exc:
            error(host).write_text(str(exc))

    process = multiprocessing.get_context("fork").Process(target=build)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        process.join()


def wait_for_container(engine: docker.APIClient, process: BaseProcess, command: str) -> None:
    """Wait until the build has a container that runs such a command."""
    while not any(command in each["Command"] for each in engine.containers()):
        assert process.is_alive()
        time.sleep(0.05)


def error(host: Host) -> Path:
    """The file with the error of the latest build; there is none if it had none."""
    return host.states.parent / "error"

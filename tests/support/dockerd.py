"""A Docker engine that tests start, stop and kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import docker
import docker.errors

_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 60
# Processes of its own, containers among them, so that they end with it, and it with who started it.
_TOGETHER = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)


class Dockerd:
    """
    An engine of this host's ``dockerd``.

    url
        of its API

    directory
        for its log, and what it keeps while it runs

    options
        of ``dockerd``, besides

    within
        a command that starts it somewhere else
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        options: Sequence[str] = (),
        within: Sequence[str] = (),
    ) -> None:
        self.url = url
        self._pidfile, self._log, self._exec = (directory / name for name in ("pid", "log", "exec"))
        places = ("--pidfile", str(self._pidfile), "--exec-root", str(self._exec))
        self._command = [*_TOGETHER, *within, "dockerd", "--host", url, *places, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what it had when it ended, and wait until it answers."""
        # The IDs of processes in there are those of others by now.
        self._pidfile.unlink(missing_ok=True)
        shutil.rmtree(self._exec, ignore_errors=True)
        # `docker top` would cut its lines there.
        environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
        with self._log.open("a") as handle:
            self._process = subprocess.Popen(
                self._command, stdout=handle, stderr=subprocess.STDOUT, env=environment
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                docker.APIClient(base_url=self.url, version="auto").close()
                return
            except docker.errors.DockerException:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        """Have it end in order."""
        if self._process:
            pid = self._process.pid
            (dockerd,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(int(dockerd), signal.SIGTERM)
            self._process.wait(_SECONDS_TO_STOP)

    def kill(self) -> None:
        """End it at once, and all its containers."""
        if self._process:
            self._process.kill()
            self._process.wait()

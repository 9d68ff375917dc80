"""
End in good order what states have started in a container.

Services are stopped by their init scripts, the last one first, then whatever else runs is told to
end. What is left of it in /run, as pid files and sockets, would keep it from starting in the image.
"""

import contextlib
import glob
import os
import signal
import stat
import subprocess
import time

PATIENCE = 20  # seconds

# The services, in the order in which they were started.
started = []


def stop_all():
    """Stop them, and return the names of what had to be killed."""
    # Not where they are not this container's alone, as with pid_mode: host.
    ours = is_first(1)
    if not started and not (ours and others()):
        return []
    for name in reversed(started):
        script = "/etc/init.d/" + name
        if os.access(script, os.X_OK):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # it gets the signal
                subprocess.run(
                    [script, "stop"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=PATIENCE,
                )
    killed = end_all() if ours else []
    remove_traces("/run")
    return killed


def end_all():
    """Tell whatever runs to end, kill what does not, and return the names of that."""
    tell(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while others() and time.monotonic() < deadline:
        time.sleep(0.05)
    killed = sorted(set(others().values()))
    tell(signal.SIGKILL)
    return killed


def others():
    """All processes but the container's own first ones and this, by their ids."""
    mine = {1, os.getpid(), os.getppid()}
    found = {}
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(os.path.basename(path))
        try:
            with open(path + "/stat") as handle:
                name, _, rest = handle.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if rest.split()[0] != "Z" and pid not in mine and not is_first(pid):
            found[pid] = name
    return found


def is_first(pid):
    """Whether it is the container's command, of containers/client.py, or an init that runs that."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as handle:
            return handle.read().endswith(
                (b"sh\0-c\0sleep infinity & wait\0", b"sleep\0infinity\0")
            )
    except OSError:
        return False


def tell(which):
    for pid in others():
        with contextlib.suppress(OSError):
            os.kill(pid, which)


def remove_traces(top):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                is_pid = stat.S_ISREG(mode) and (name.endswith(".pid") or name == "pid")
                if stat.S_ISSOCK(mode) or is_pid:
                    os.unlink(path)

"""
Salt's ``service`` in a container of a build, where no service manager runs.

What is to be enabled is recorded as the image's own tools do it offline. A daemon that has an
init script is started by it, for the time of the build; of any other it is only said that it runs,
and the host that builds warns of that.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

__virtualname__ = "service"
__func_alias__ = {"reload_": "reload", "mask_": "mask", "unmask_": "unmask"}

_MARK = "\x1e"
_SCRIPTS = "/etc/init.d"
_UNITS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
_LONGEST = 120  # seconds
# What LSB has a script's "status" end with.
_RUNS, _RUNS_NOT = 0, (1, 2, 3)
# Those that are only said to run.
_pretended = set()


def __virtual__():
    if __opts__.get("ubiq_services") == "fail":
        return False, "the catalogue has Salt's own (services: fail)"
    return __virtualname__


def available(name):
    return bool(_script(name) or _unit(name))


def missing(name):
    return not available(name)


def get_all():
    found = [os.path.basename(path) for path in glob.glob(_SCRIPTS + "/*") if _is_program(path)]
    for directory in _UNITS:
        found += [os.path.basename(path)[:-8] for path in glob.glob(directory + "/*.service")]
    return sorted(set(found) - {"README", "skeleton", "rc", "rcS"})


def start(name):
    name = _bare(name)
    script = _script(name)
    is_offline = __opts__.get("ubiq_services") == "offline"
    if script is None or is_offline:
        if name not in _pretended and not is_offline:
            print(_MARK + json.dumps({"pretended": name}), file=sys.__stderr__, flush=True)
        _pretended.add(name)
        return True
    status, said = _run([script, "start"])
    if status:
        raise _error("%s start: exit status %d: %s" % (script, status, said or "it says nothing"))
    started = sys.modules["stop"].started
    started[:] = [each for each in started if each != name] + [name]
    return True


def stop(name):
    name = _bare(name)
    script = _script(name)
    if name in _pretended or script is None:
        _pretended.discard(name)
        return True
    return _run([script, "stop"])[0] == 0


def restart(name):
    if status(name):
        stop(name)
    return start(name)


def reload_(name):
    script = _script(_bare(name))
    if _bare(name) in _pretended or script is None:
        return True
    status_, _ = _run([script, "reload"])
    return True if status_ == 0 else restart(name)


force_reload = reload_


def status(name, sig=None):
    name = _bare(name)
    if name in _pretended:
        return True
    script = _script(name)
    if script is None:
        return False
    status_, _ = _run([script, "status"])
    if status_ in (_RUNS, *_RUNS_NOT):
        return status_ == _RUNS
    return any(_is_pid_alive(path) for path in glob.glob("/run/%s*.pid" % name))


def enabled(name, **_):
    name = _bare(name)
    if _systemctl() and _unit(name):
        state = _run([_systemctl(), "--root=/", "is-enabled", _unit(name)])[1].split("\n")[-1]
        if state in ("enabled", "disabled"):
            return state == "enabled"
    links = glob.glob("/etc/rc[2-5].d/S[0-9][0-9]" + glob.escape(name))
    return bool(links) if _script(name) and shutil.which("update-rc.d") else True


def disabled(name, **kwargs):
    if not available(name) or not (_systemctl() or shutil.which("update-rc.d")):
        return True  # there is nothing to record it in
    return not enabled(name, **kwargs)


def enable(name, **_):
    return _record(name, "enable")


def disable(name, **_):
    return _record(name, "disable")


def unmask_(name, *_, **__):
    return _masked(name, "unmask")


def mask_(name, *_, **__):
    return _masked(name, "mask")


def masked(name, *_, **__):
    return any(
        os.path.realpath(directory + "/" + _bare(name) + ".service") == os.devnull
        for directory in _UNITS
    )


def systemctl_reload():
    return True


def get_enabled():
    return [name for name in get_all() if enabled(name)]


def get_disabled():
    return [name for name in get_all() if not enabled(name)]


def _record(name, how):
    name, done = _bare(name), True
    if _systemctl() and _unit(name):
        done = _run([_systemctl(), "--root=/", how, _unit(name)])[0] == 0
    if _script(name) and shutil.which("update-rc.d"):
        if how == "enable":
            _run(["update-rc.d", name, "defaults"])
        done = _run(["update-rc.d", name, how])[0] == 0 and done
    return done


def _masked(name, how):
    if _systemctl() and _unit(name):
        return _run([_systemctl(), "--root=/", how, _unit(name)])[0] == 0
    return True


def _bare(name):
    return name[:-8] if name.endswith(".service") else name


def _script(name):
    path = os.path.join(_SCRIPTS, _bare(name))
    return path if _is_program(path) else None


def _unit(name):
    """The unit of that name, also where it is an instance of a template."""
    bare = _bare(name)
    for each in (bare, bare.partition("@")[0] + "@") if "@" in bare else (bare,):
        for directory in _UNITS:
            if os.path.exists("%s/%s.service" % (directory, each)):
                return bare + ".service"
    return None


def _systemctl():
    return shutil.which("systemctl")


def _is_program(path):
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _is_pid_alive(path):
    try:
        with open(path) as handle:
            os.kill(int(handle.read().split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _run(command):
    """The exit status, and what it says: to a file, as a daemon would hold a pipe open."""
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_LONGEST
            )
            status_ = done.returncode
        except subprocess.TimeoutExpired:
            status_ = -1
        output.seek(0)
        return status_, output.read().decode(errors="replace").strip()


def _error(message):
    from salt.exceptions import CommandExecutionError

    return CommandExecutionError(message)

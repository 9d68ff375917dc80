"""Salt's ``service`` where no service manager runs, in what stands in for a container's root."""

import importlib.util
import io
import json
import os
import sys

import pytest
import stop
from salt.exceptions import CommandExecutionError

from tests.unit.inside.conftest import INSIDE

# Its "status" is true while there is a file beside it; a line in "log" for each call.
SCRIPT = """#!/bin/sh
cd "$(dirname "$0")/.."
name=$(basename "$0")
echo "$name $1" >>log
case "$1" in
start) touch "$name.runs" ;;
stop) rm -f "$name.runs" ;;
status) test -e "$name.runs" || exit 3 ;;
esac
"""
# As systemctl and update-rc.d, which are asked for what is enabled as they were told.
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>{root}/log
case "$2" in
enable) echo "$3" >>{root}/enabled ;;
disable) sed -i "/^$3$/d" {root}/enabled ;;
is-enabled) if grep -qx "$3" {root}/enabled; then echo enabled; else echo disabled; exit 1; fi ;;
esac
"""
UPDATE_RC = """#!/bin/sh
echo "update-rc.d $*" >>{root}/log
case "$2" in
defaults | enable) touch "{root}/rc/S01$1" ;;
disable) rm -f "{root}/rc/S01$1" ;;
esac
"""


class Root:
    """A root with init scripts, units and tools, as a test wants them."""

    def __init__(self, path, monkeypatch, opts):
        self.path = path
        for name in ("init.d", "units", "bin", "rc"):
            (path / name).mkdir()
        (path / "enabled").touch()
        monkeypatch.setenv("PATH", f"{path}/bin:/usr/bin:/bin")
        where = importlib.util.spec_from_file_location("service", f"{INSIDE}/modules/service.py")
        self.module = importlib.util.module_from_spec(where)
        where.loader.exec_module(self.module)
        self.module.__opts__ = opts
        self.module._SCRIPTS = str(path / "init.d")
        self.module._UNITS = (str(path / "units"),)
        monkeypatch.setattr(self.module.shutil, "which", self._which)
        real = self.module.glob.glob
        rc = str(path / "rc")
        monkeypatch.setattr(
            self.module.glob, "glob", lambda pattern: real(pattern.replace("/etc/rc[2-5].d", rc))
        )

    def _which(self, name):
        path = self.path / "bin" / name
        return str(path) if path.exists() else None

    def program(self, name, text):
        (self.path / name).write_text(text.replace("{root}", str(self.path)))
        (self.path / name).chmod(0o755)

    def script(self, name="web", text=SCRIPT):
        self.program(f"init.d/{name}", text)

    def unit(self, name="web"):
        (self.path / "units" / f"{name}.service").touch()

    def tools(self, *names):
        for name in names:
            self.program(f"bin/{name}", {"systemctl": SYSTEMCTL, "update-rc.d": UPDATE_RC}[name])

    @property
    def log(self):
        path = self.path / "log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def opts():
    return {}


@pytest.fixture
def root(tmp_path, monkeypatch, opts):
    monkeypatch.setattr(stop, "started", [])
    return Root(tmp_path, monkeypatch, opts)


@pytest.fixture
def service(root):
    return root.module


@pytest.fixture
def pretended(monkeypatch):
    """``pretended()``: what is only said to run."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    return lambda: [
        json.loads(line[1:])["pretended"] for line in stderr.getvalue().split("\n") if line
    ]


def test_a_daemon_is_started_by_its_script_and_stopped_later(root, service, pretended):
    root.script()
    assert not service.status("web")
    assert service.start("web")
    assert service.status("web")
    assert stop.started == ["web"]
    assert service.stop("web")
    assert not service.status("web")
    assert root.log == ["web status", "web start", "web status", "web stop", "web status"]
    assert pretended() == []


def test_the_name_of_a_unit_is_that_of_its_script(root, service):
    root.script()
    assert service.start("web.service")
    assert service.status("web.service")
    assert stop.started == ["web"]


def test_the_last_started_is_the_last_in_the_list_once(root, service):
    for name in ("web", "db"):
        root.script(name)
    for name in ("web", "db", "web"):
        service.start(name)
    assert stop.started == ["db", "web"]


def test_a_restart_stops_what_runs_only(root, service):
    root.script()
    service.restart("web")
    assert root.log == ["web status", "web start"]
    service.restart("web")
    assert root.log[2:] == ["web status", "web stop", "web start"]


def test_what_can_not_reload_is_restarted(root, service):
    root.script(text=SCRIPT.replace("esac", "reload) exit 3 ;;\nesac"))
    service.start("web")
    assert service.reload_("web")
    assert root.log[-3:] == ["web status", "web stop", "web start"]


def test_a_daemon_that_does_not_start_says_why(root, service):
    root.script(text="#!/bin/sh\necho starting; echo no config >&2; exit 4\n")
    with pytest.raises(CommandExecutionError) as failure:
        service.start("web")
    assert str(failure.value).endswith("init.d/web start: exit status 4: starting\nno config")
    assert stop.started == []


def test_a_script_that_says_nothing_and_fails(root, service):
    root.script(text="#!/bin/sh\nexit 1\n")
    with pytest.raises(CommandExecutionError, match="exit status 1: it says nothing"):
        service.start("web")


def test_a_script_whose_daemon_holds_its_output_open_ends(root, service):
    root.script(text="#!/bin/sh\nsleep 5 &\necho started\n")
    assert service.start("web")


def test_what_has_a_unit_alone_is_said_to_run_and_told_once(root, service, pretended):
    root.unit()
    assert not service.status("web")
    for _ in range(2):
        assert service.start("web.service")
    assert service.status("web")
    assert service.reload_("web")
    assert service.restart("web")
    assert service.stop("web")
    assert not service.status("web")
    assert pretended() == ["web", "web"]  # once more after it was stopped
    assert stop.started == []


@pytest.mark.parametrize("opts", [{"ubiq_services": "offline"}])
def test_offline_nothing_is_started(root, service, pretended):
    root.script()
    assert service.start("web")
    assert service.status("web")
    assert pretended() == []  # who declares that knows it
    assert [line for line in root.log if "start" in line] == []


@pytest.mark.parametrize(
    ("opts", "expected"),
    [({}, True), ({"ubiq_services": "started"}, True), ({"ubiq_services": "fail"}, False)],
)
def test_it_stands_in_for_salts_own_but_where_it_shall_not(service, expected):
    found = service.__virtual__()
    assert (found == "service") == expected
    assert expected or found[0] is False


def test_there_is_what_has_a_script_or_a_unit(root, service):
    root.script("one")
    root.unit("two")
    root.unit("three@")
    for name in ("one", "two", "two.service", "three@a", "one.service"):
        assert service.available(name), name
        assert not service.missing(name)
    for name in ("four", "three", ""):
        assert service.missing(name), name
    root.path.joinpath("init.d", "README").write_text("no program")
    assert service.get_all() == ["one", "three@", "two"]


def test_with_systemd_what_is_enabled_is_recorded_offline(root, service):
    root.unit()
    root.tools("systemctl")
    assert not service.enabled("web")
    assert service.disabled("web")
    assert service.enable("web")
    assert service.enabled("web")
    assert not service.disabled("web")
    assert service.disable("web")
    assert not service.enabled("web")
    assert "systemctl --root=/ enable web.service" in root.log


def test_with_scripts_it_is_recorded_by_links(root, service):
    root.script()
    root.tools("update-rc.d")
    assert not service.enabled("web")
    assert service.enable("web")
    assert service.enabled("web")
    assert service.disable("web")
    assert service.disabled("web")
    assert [line for line in root.log if line.startswith("update")] == [
        "update-rc.d web defaults",
        "update-rc.d web enable",
        "update-rc.d web disable",
    ]


def test_with_both_it_is_recorded_in_both(root, service):
    root.script()
    root.unit()
    root.tools("systemctl", "update-rc.d")
    assert service.enable("web")
    assert root.log == [
        "systemctl --root=/ enable web.service",
        "update-rc.d web defaults",
        "update-rc.d web enable",
    ]


@pytest.mark.parametrize("kind", ["script", "unit"])
def test_without_tools_there_is_nothing_to_record_and_no_failure(root, service, kind):
    getattr(root, kind)()
    assert service.enable("web")
    assert service.enabled("web")
    assert service.disable("web")
    assert service.disabled("web")
    assert root.log == []


def test_what_can_not_be_recorded_has_failed(root, service):
    root.unit()
    root.program("bin/systemctl", "#!/bin/sh\nexit 1\n")
    assert not service.enable("web")


def test_a_masked_unit(root, service):
    root.unit("one")
    (root.path / "units" / "two.service").symlink_to(os.devnull)
    root.tools("systemctl")
    assert service.masked("two")
    assert not service.masked("one")
    assert service.mask_("one")
    assert service.unmask_("one")
    assert root.log == [
        "systemctl --root=/ mask one.service",
        "systemctl --root=/ unmask one.service",
    ]


def test_where_a_script_knows_no_status_a_pid_file_tells(root, service, monkeypatch, tmp_path):
    root.script(text="#!/bin/sh\necho usage >&2; exit 64\n")
    pids = tmp_path / "web.pid"
    real = service.glob.glob
    monkeypatch.setattr(
        service.glob, "glob", lambda pattern: real(pattern.replace("/run/", f"{tmp_path}/"))
    )
    assert not service.status("web")
    for text, alive in ((str(os.getpid()), True), ("", False), ("x", False), ("4194305", False)):
        pids.write_text(text)
        assert service.status("web") == alive, text


def test_salts_state_finds_all_that_it_calls(service):
    """As ``service.running`` and the like do."""
    names = {service.__func_alias__.get(name, name) for name in vars(service)}
    assert names >= set(
        "available missing get_all start stop restart reload force_reload status enabled disabled "
        "enable disable mask unmask masked systemctl_reload get_enabled get_disabled".split()
    )

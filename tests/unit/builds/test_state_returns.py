"""Understanding what docker.sls_build does from the commands that run in its container."""

import json
import shlex

import pytest

from salt_ubiq.builds.state_returns import StateReturns
from salt_ubiq.catalogue.models import Service
from salt_ubiq.containers.client import Output
from salt_ubiq.results import States

THIN = "/tmp/salt.docker.d8414a"
SALT_CALL = (
    f"python3 {THIN}/salt-call --metadata --local --log-file {THIN}/log "
    f"--cachedir {THIN}/cache --out json -l quiet -- "
)
STATES = {
    "cmd_|-fails_|-login hunter2_|-run": {
        "name": "login hunter2",
        "changes": {"pid": 12965, "retcode": 1, "stdout": "", "stderr": "hunter2 is wrong"},
        "result": False,
        "comment": 'Command "login hunter2" run',
        "__sls__": "web",
        "__run_num__": 1,
        "start_time": "18:01:06.992157",
        "duration": 5.501,
        "__id__": "fails",
    },
    "pkg_|-nginx_|-nginx_|-installed": {
        "name": "nginx",
        "changes": {"nginx": {"old": "", "new": "1.22"}},
        "result": True,
        "comment": "installed",
        "__sls__": "web.nginx",
        "__run_num__": 0,
        "start_time": "18:01:00.000000",
        "duration": 6123.4,
        "__id__": "nginx",
    },
    "test_|-waits_|-waits_|-nop": {
        "changes": {},
        "result": False,
        "duration": 0.003,
        "comment": "One or more requisite failed: web.fails",
        "__state_ran__": False,
        "__run_num__": 2,
        "__sls__": "web",
        "__id__": "waits",
        "name": "waits",
    },
}
# As Salt prints them in every image with Python 3.11 or 3.12.
WARNINGS = (
    f"{THIN}/pyall/salt/utils/pycrypto.py:35: DeprecationWarning: 'crypt' is deprecated and "
    "slated for removal in Python 3.13\n  import crypt  # pylint: disable=deprecated-module"
)


class Watched:
    """A state run whose log is a list."""

    def __init__(self, volumes=()):
        self.log = []
        self.run = StateReturns(
            lambda text: text.replace("hunter2", "***"), self.log.append, volumes=volumes
        )

    def observe(self, command, stdout="", stderr="", retcode=0):
        self.run.observe(shlex.split(command), Output(stdout, stderr, retcode))

    def call(self, function, returned, retcode=0, **output):
        stdout = json.dumps(
            {
                "local": {
                    "jid": "20261123180106844163",
                    "return": returned,
                    "retcode": retcode,
                    "out": "highstate",
                    "id": "minion",
                    "fun": function.split()[0],
                    "fun_args": function.split()[1:],
                }
            },
            indent=4,
        )
        self.observe(SALT_CALL + function, stdout, **output)

    def states(self, returned, retcode=2):
        self.call(f"state.pkg {THIN}/salt_state.tgz test=None pkg_sum=1", returned, retcode)


@pytest.fixture
def watched():
    return Watched()


@pytest.mark.parametrize(
    "command",
    [
        f"mkdir -p {THIN}",
        "python3 --version",
        f"""python3 -c 'import tarfile; tarfile.open("{THIN}/thin.tgz").extractall()'""",
        f"rm -rf {THIN}",
        "rm -rf -- /var/lib/apt/lists/a",
    ],
)
def test_other_commands_that_succeed_are_none_of_its_business(watched, command):
    watched.observe(command, "out", "err")
    assert watched.log == []
    assert (watched.run.states, watched.run.explain()) == (States(), "")


def test_another_command_that_fails_explains_a_failure(watched):
    watched.observe(f"mkdir -p {THIN}", "", "mkdir: no space left for hunter2", 1)
    assert watched.log == ["mkdir: no space left for ***"]
    assert watched.run.explain() == "in the build container: mkdir: no space left for ***"


def test_states_are_counted_with_their_failures(watched):
    watched.states(STATES)
    states = watched.run.states
    assert (states.total, states.changed) == (3, 2)
    assert [state["id"] for state in states.failed] == ["fails", "waits"]


def test_the_log_has_a_line_for_each_state_in_order_and_then_the_failure(watched):
    watched.states(STATES)
    assert watched.log == [
        "changed    6.12 s  web.nginx: nginx (pkg.installed)",
        "failed     0.01 s  web: fails (cmd.run)",
        "failed     0.00 s  web: waits (test.nop)",
        watched.run.states.failure(),
    ]


def test_a_state_that_changed_nothing_is_ok_in_the_log(watched):
    watched.states({"test_|-a_|-a_|-nop": {**STATES["test_|-waits_|-waits_|-nop"], "result": True}})
    assert watched.log == ["ok         0.00 s  web: waits (test.nop)"]


def test_a_failure_is_explained_by_the_states_that_failed(watched):
    watched.states(STATES)
    assert watched.run.explain() == (
        "2 of 3 states failed:\n"
        '  web: fails (cmd.run): Command "login ***" run\n'
        "    *** is wrong\n"
        "  and 1 that require them"
    )


def test_states_that_all_succeeded_explain_nothing(watched):
    watched.states({"pkg_|-nginx_|-nginx_|-installed": STATES["pkg_|-nginx_|-nginx_|-installed"]})
    assert watched.run.explain() == ""


def test_states_that_could_not_be_compiled_are_explained_by_salts_errors(watched):
    errors = ["Rendering SLS 'base:web' failed: found hunter2\n", "No matching sls found for 'x'"]
    watched.states(errors, retcode=1)
    assert watched.run.states == States()
    assert watched.run.explain() == (
        "Rendering SLS 'base:web' failed: found ***\nNo matching sls found for 'x'"
    )
    assert watched.log == [watched.run.explain()]


def test_noise_before_the_output_does_no_harm(watched):
    stdout = 'WARNING: something {odd}\n{"local": {"return": ["broken"], "retcode": 1}}'
    watched.observe(SALT_CALL + "state.pkg a", stdout)
    assert watched.run.explain() == "broken"


def test_output_without_metadata_is_understood(watched):
    watched.observe(SALT_CALL + "state.pkg a", json.dumps({"local": STATES}))
    assert watched.run.states.total == 3


@pytest.mark.parametrize("stdout", ["", "Killed", '{"local": {"ret'])
def test_salt_that_dies_is_explained_by_its_last_words(watched, stdout):
    stderr = "Traceback (most recent call last):\n  File x\nMemoryError: at hunter2\n\n"
    watched.observe(SALT_CALL + "state.pkg a", stdout, stderr, 1)
    assert watched.run.states == States()
    assert watched.run.explain() == "in the build container: MemoryError: at ***"


def test_salt_that_dies_before_the_states_is_explained_too(watched):
    watched.observe(SALT_CALL + "grains.items", "", "SyntaxError: invalid syntax", 1)
    assert watched.run.explain() == ("in the build container: SyntaxError: invalid syntax")


def test_salt_that_dies_without_a_word_is_not_explained(watched):
    watched.observe(SALT_CALL + "state.pkg a", "", "", 137)
    assert watched.run.explain() == ""


def test_what_salt_prints_is_logged_without_secrets(watched):
    watched.call("grains.items", {}, stderr="WARNING: hunter2")
    assert watched.log == ["WARNING: ***"]


def test_warnings_of_a_call_that_succeeded_explain_no_failure(watched):
    """What failed then is something else, and its exception says what."""
    watched.call("grains.items", {"os": "Debian"}, stderr=WARNINGS)
    assert watched.run.explain() == ""


def test_what_has_changed_something_or_failed_is_named_as_recipes_name_it(watched):
    watched.states(STATES)
    assert watched.run.changed == (
        "web.nginx: pkg.installed nginx",
        "web: cmd.run login ***",
        "web: test.nop waits",
    )


def test_a_state_that_returns_another_name_has_the_one_it_is_declared_with(watched):
    """As module.run does, which returns the name of the function."""
    key = "module_|-again_|-again_|-run"
    ran = {"name": "cmd.shell", "result": True, "changes": {"cmd.shell": ""}, "__run_num__": 0}
    watched.states({key: {**ran, "__id__": "again", "__sls__": "web"}}, retcode=0)
    assert watched.run.changed == ("web: module.run again",)


def test_a_name_may_have_what_keys_are_made_of(watched):
    key = "cmd_|-odd_|-echo _|- x_|-run"
    ran = {"name": "echo _|- x", "result": True, "changes": {"pid": 1}, "__run_num__": 0}
    watched.states({key: {**ran, "__id__": "odd", "__sls__": "web"}}, retcode=0)
    assert watched.run.changed == ("web: cmd.run echo _|- x",)


def test_what_would_change_in_test_mode_counts_as_changed(watched):
    key = "file_|-/srv_|-/srv_|-managed"
    would = {"name": "/srv", "result": None, "changes": {}, "__run_num__": 0}
    watched.states({key: {**would, "__id__": "/srv", "__sls__": "web"}}, retcode=0)
    assert watched.run.changed == ("web: file.managed /srv",)


def test_where_no_state_ran_none_has_changed_anything(watched):
    watched.states(["Rendering SLS 'base:web' failed"])
    assert watched.run.changed == ()


def written(path, result=True):
    """What a state returns that writes a file."""
    return {
        f"file_|-it_|-{path}_|-managed": {
            "__id__": "it", "__sls__": "web", "__run_num__": 0, "name": path, "result": result,
            "changes": {"diff": "New file"}, "comment": "",
        }
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/resolv.conf", "/proc/sys/x", "/data/a/b"])
def test_what_no_image_can_have_is_warned_of_and_does_not_count_as_unconverged(path):
    service = Service(name="web", path="ubiq:services:web", repository="u/web", base="d", mods="w")
    watched = Watched(volumes=["/data"])
    watched.states(written(path), 0)
    (warning,) = watched.run.warnings(service)
    assert warning == (
        f"web: {path} is of the container, not of the image: what file.managed does there is lost"
    )
    again = Watched(volumes=["/data"])
    again.states(written(path, result=None), 0)
    assert again.run.changed == ()


@pytest.mark.parametrize("path", ["/etc/hosts.allow", "/database", "/srv/proc"])
def test_what_an_image_has_is_not_warned_of(path):
    service = Service(name="web", path="ubiq:services:web", repository="u/web", base="d", mods="w")
    watched = Watched(volumes=["/data"])
    watched.states(written(path), 0)
    assert watched.run.warnings(service) == ()
    again = Watched(volumes=["/data"])
    again.states(written(path, result=None), 0)
    assert again.run.changed != ()


def test_a_state_of_any_kind_that_writes_resolv_conf_is_warned_of_once():
    service = Service(name="web", path="ubiq:services:web", repository="u/web", base="d", mods="w")
    watched = Watched()
    for _ in range(2):
        state = {"sls": "dns", "function": "cmd.run", "name": "echo hunter2 >/etc/resolv.conf\n2"}
        watched.run.announced({"restored": state})
    assert watched.run.warnings(service) == (
        "web: /etc/resolv.conf is of the container, not of the image: what this does there is "
        "lost: dns: cmd.run echo *** >/etc/resolv.conf",
    )

"""Results, for programs and for people."""

import json

import pytest

from salt_ubiq.results import Result, States


def state(number, *, result=True, sls="web", comment="", changes=None, **more):
    return {
        "__run_num__": number,
        "__sls__": sls,
        "result": result,
        "comment": comment,
        "changes": changes or {},
        **more,
    }


RETURN = {
    "service_|-nginx_|-nginx_|-running": state(
        2, result=False, comment="One or more requisite failed: web.config", __id__="nginx"
    ),
    "cmd_|-config_|-nginx -t_|-run": state(
        1,
        result=False,
        comment='Command "nginx -t" run',
        changes={"pid": 7, "retcode": 1, "stdout": "testing", "stderr": "line one\nline two"},
        __id__="config",
    ),
    "pkg_|-nginx_|-nginx_|-installed": state(
        0, changes={"nginx": {"old": "", "new": "1.22"}}, __id__="nginx"
    ),
    "file_|-a_|-/a_|-managed": state(3, __id__="a"),
    "file_|-b_|-/b_|-managed": state(4, result=None, __id__="b"),
}


def unchanged(text):
    return text


def test_states_are_counted():
    states = States.from_return(RETURN, unchanged)
    assert (states.total, states.changed, len(states.failed)) == (5, 2, 2)


def test_failed_states_are_in_the_order_in_which_they_ran():
    failed = States.from_return(RETURN, unchanged).failed
    assert [each["id"] for each in failed] == ["config", "nginx"]


def test_a_failed_state_says_what_it_is_and_what_its_command_printed():
    assert States.from_return(RETURN, unchanged).failed[0] == {
        "id": "config",
        "sls": "web",
        "function": "cmd.run",
        "comment": 'Command "nginx -t" run\nline one\nline two\ntesting',
    }


def test_every_text_of_a_failed_state_is_cleaned():
    ret = {
        "cmd_|-login hunter2_|-login hunter2_|-run": state(
            0,
            result=False,
            comment="ran login hunter2",
            changes={"stderr": "hunter2 is wrong", "stdout": "hunter2?"},
            __id__="login hunter2",
        )
    }
    states = States.from_return(ret, lambda text: text.replace("hunter2", "***"))
    assert "hunter2" not in json.dumps(states.failed) + states.failure()


def test_a_state_that_never_ran_has_its_id_from_its_key():
    ret = {
        "no_|-states_|-states_|-None": {"result": False, "comment": "No Top file", "changes": {}}
    }
    (failed,) = States.from_return(ret, unchanged).failed
    assert (failed["id"], failed["comment"]) == ("states", "No Top file")


def test_the_failure_text_has_causes_and_only_counts_what_waited_for_them():
    assert States.from_return(RETURN, unchanged).failure() == (
        "2 of 5 states failed:\n"
        '  web: config (cmd.run): Command "nginx -t" run\n'
        "    line one\n"
        "    line two\n"
        "    testing\n"
        "  and 1 that require them"
    )


def test_where_all_waited_for_something_they_are_the_causes():
    ret = {
        "test_|-a_|-a_|-nop": state(
            0, result=False, comment="One or more requisite failed: other.x", __id__="a"
        )
    }
    assert States.from_return(ret, unchanged).failure() == (
        "1 of 1 states failed:\n  web: a (test.nop): One or more requisite failed: other.x"
    )


def test_no_states_have_not_failed():
    assert States.from_return({}, unchanged) == States(total=0, changed=0, failed=())


def test_a_result_is_plain_data_that_json_gives_back_as_it_was():
    result = Result(
        name="web",
        image="ubiquitous/web:latest",
        action="built",
        id="sha256:2",
        old_id="sha256:1",
        parent="sha256:0",
        reasons=("salt://web/site.conf changed",),
        states=States.from_return(RETURN, unchanged),
        duration=12.345,
        log="/var/cache/web.log",
        size=117_000_000,
        attempts=2,
    )
    plain = result.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["duration"] == 12.3
    assert plain["reasons"] == ["salt://web/site.conf changed"]
    assert plain["states"]["total"] == 5
    assert plain["states"]["failed"][0]["id"] == "config"


def test_a_result_has_the_documented_keys():
    plain = Result(name="web", image="ubiquitous/web:latest", action="failed").to_dict()
    keys = (
        "name image action id old_id parent reasons states warnings pushed duration error log "
        "size attempts"
    )
    assert list(plain) == keys.split()
    assert plain["states"] == {"total": 0, "changed": 0, "failed": []}
    assert plain["id"] is plain["error"] is None


def test_a_result_comes_back_from_its_plain_data():
    states = States.from_return(RETURN, unchanged)
    result = Result(
        "web", "web:1", "failed", "sha256:1", reasons=("a", "b"), states=states, duration=1.5
    )
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_plain_data_of_another_version_is_understood():
    plain = {"name": "web", "image": "web:1", "action": "built", "colour": "blue"}
    assert Result.from_dict(plain) == Result("web", "web:1", "built")


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"name": "web", "image": "web:1"},
        {"name": "web", "image": "web:1", "action": "eaten"},
        {"name": "web", "image": "web:1", "action": "built", "duration": "long"},
        {"name": "web", "image": "web:1", "action": "built", "states": {"total": "many"}},
    ],
)
def test_what_is_not_a_result_is_refused(plain):
    with pytest.raises((ValueError, TypeError, KeyError)):
        Result.from_dict(plain)

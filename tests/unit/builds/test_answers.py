"""Who answers what states ask while they render."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager

import pytest
import salt.config
import salt.loader
from salt.exceptions import SaltRenderError
from salt.utils.args import yamlify_arg

from salt_ubiq.builds.answers import HERE, Answers, Functions, answering, asking, keep_answers
from salt_ubiq.errors import CallFailed
from salt_ubiq.workspace.slots import Workspace

ONE, OTHER = "sha256:01", "sha256:02"
FUNCTIONS = {
    "pillar.get": lambda key, default="": f"pillar of {key}",
    "file.file_exists": lambda path: "asked this host",
    "cmd.run": lambda command: "asked this host",
}


class Container:
    """In the place of one of the image: it says what it was asked."""

    def __init__(self):
        self.started = 0
        self.asked = []
        self.is_there = False

    @contextmanager
    def make(self):
        self.started += 1
        self.is_there = True
        yield self
        self.is_there = False

    def call(self, function, *args, **kwargs):
        assert self.is_there
        self.asked.append((function, args, kwargs))
        return {"function": function, "number": len(self.asked)}


@pytest.fixture
def container():
    return Container()


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


@contextmanager
def functions(workspace, container, image=ONE, salt="3008", here=HERE, pillar="{}", clean=str):
    with asking(Answers(workspace, image, salt, pillar, clean), container.make) as ask:
        yield Functions(FUNCTIONS, here, ask)


def test_what_reads_salts_own_data_runs_here(workspace, container):
    with functions(workspace, container) as salt:
        assert salt["pillar.get"]("a") == "pillar of a"
        assert salt.pillar.get("a") == "pillar of a"
    assert container.started == 0


def test_every_other_is_asked_once_in_one_container(workspace, container):
    with functions(workspace, container) as salt:
        first = salt["file.file_exists"]("/etc/passwd")
        assert first == {"function": "file.file_exists", "number": 1}
        assert salt["file.file_exists"]("/etc/passwd") == first
        assert salt["file.file_exists"]("/etc/group")["number"] == 2
        assert salt["cmd.run"]("id", runas="nobody")["number"] == 3
        assert salt["cmd.run"]("id", runas="root")["number"] == 4
        assert salt["ours.own"]()["number"] == 5
    assert container.started == 1
    assert not container.is_there


def test_answers_are_remembered_for_the_image_the_salt_and_the_pillar(workspace, container):
    for _ in range(2):
        with functions(workspace, container) as salt:
            assert salt["cmd.run"]("id")["number"] == 1
    assert container.started == 1
    with functions(workspace, container, image=OTHER) as salt:
        assert salt["cmd.run"]("id")["number"] == 2
    with functions(workspace, container, salt="3009") as salt:
        assert salt["cmd.run"]("id")["number"] == 3
    with functions(workspace, container, pillar='{"a": 1}') as salt:
        assert salt["cmd.run"]("id")["number"] == 4
    with functions(workspace, container) as salt:
        assert salt["cmd.run"]("id")["number"] == 1


def test_an_answer_is_the_same_the_first_time_and_later(workspace, container):
    """As JSON has it: also what was a tuple, or a key that was a number."""
    container.call = lambda *_: json.loads(json.dumps({1: (1, 2)}))
    seen = []
    for _ in range(2):
        with functions(workspace, container) as salt:
            seen.append(salt["cmd.run"]("id"))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\udcff"])
def test_answers_that_can_not_be_read_are_asked_for_again(workspace, container, text):
    with functions(workspace, container) as salt:
        salt["cmd.run"]("id")
    (path,) = (workspace.path / "answers").iterdir()
    path.write_bytes(text.encode(errors="surrogateescape"))
    with functions(workspace, container) as salt:
        assert salt["cmd.run"]("id")["number"] == 2


def test_answers_are_for_their_owner_alone(workspace, container):
    with functions(workspace, container) as salt:
        salt["cmd.run"]("id")
    (path,) = (workspace.path / "answers").iterdir()
    assert path.stat().st_mode & 0o77 == 0
    assert path.parent.stat().st_mode & 0o77 == 0


def test_no_argument_is_kept_and_no_answer_with_a_secret(workspace, container):
    def clean(text):
        return text.replace("hunter2", "***")

    container.call = lambda _, command: container.asked.append(command) or command[5:]
    for _ in range(2):
        with functions(workspace, container, clean=clean) as salt:
            for _ in range(2):
                assert salt["cmd.run"]("echo hunter2") == "hunter2"
                assert salt["cmd.run"]("echo word; # argument") == "word; # argument"
    assert container.asked == ["echo hunter2", "echo word; # argument", "echo hunter2"]
    (path,) = (workspace.path / "answers").iterdir()
    assert "hunter2" not in path.read_text()
    assert "echo" not in path.read_text()


def test_only_answers_of_images_that_are_gone_are_forgotten(workspace, container):
    for image in (ONE, OTHER):
        with functions(workspace, container, image=image) as salt:
            salt["cmd.run"]("id")
    keep_answers(workspace, {ONE})
    for image in (ONE, OTHER):
        with functions(workspace, container, image=image) as salt:
            salt["cmd.run"]("id")
    assert [number for number, _ in enumerate(container.asked)] == [0, 1, 2]


def test_a_failure_is_no_answer(workspace, container):
    def fail(*_):
        raise OSError("no")

    answer, container.call = container.call, fail
    with functions(workspace, container) as salt:
        with pytest.raises(OSError, match="no"):
            salt["cmd.run"]("id")
        container.call = answer
        assert salt["cmd.run"]("id")["number"] == 1


def test_of_a_function_that_fails_one_is_told_the_line_and_no_traceback(
    workspace, container, tmp_path
):
    def fail(*_):
        raise CallFailed("web: own.word: KeyError: 'a'")

    container.call = fail
    with (
        asking(Answers(workspace, ONE, "3008"), container.make) as ask,
        answering(HERE, ask) as more,
        pytest.raises(SaltRenderError) as caught,
    ):
        rendered({**opts_in(tmp_path), **more}, FUNCTIONS, "a: b\n{{ salt['own.word']() }}")
    message = str(caught.value)
    assert "web: own.word: KeyError: 'a'; line 2" in message
    assert "Traceback" not in message


def test_in_a_template_they_are_what_salts_own_are(workspace, container):
    with functions(workspace, container) as salt:
        assert salt.file.file_exists("/etc/passwd")["function"] == "file.file_exists"
        assert "file.file_exists" in salt
        assert "file.no_such" not in salt
        assert salt.get("no.such") is None
        assert salt.get("no.such", 1) == 1
        assert salt.get("pillar.get")("a") == "pillar of a"
        assert salt.get("file.file_exists")("/x")["function"] == "file.file_exists"
        assert sorted(salt) == sorted(FUNCTIONS)
        assert len(salt) == len(FUNCTIONS)
        assert not hasattr(salt, "__html__")


@pytest.mark.parametrize(
    "value", ["text", "007", "1", "1.5", "true", "null", "yes", "[a]", "{a: b}", "a: b", "",
              "a=b", "two words", "2024-01-01", 1, True, None, ["a", 1], {"a": [1]}],
)  # fmt: skip
def test_an_argument_arrives_as_what_it_is(workspace, container, value):
    with functions(workspace, container) as salt:
        salt["cmd.run"](value, key=value)
    ((_, (arrived,), keywords),) = container.asked
    assert isinstance(arrived, str)
    assert yamlify_arg(arrived) == value
    assert type(yamlify_arg(arrived)) is type(value)
    assert yamlify_arg(keywords["key"]) == value


def test_arguments_that_look_alike_are_other_questions(workspace, container):
    with functions(workspace, container) as salt:
        numbers = [salt["cmd.run"](value)["number"] for value in (1, "1", True, "true")]
    assert numbers == [1, 2, 3, 4]


def opts_in(directory):
    opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
    own = {"root_dir": str(directory), "cachedir": str(directory), "file_client": "local"}
    return {**opts, **own}


def rendered(opts, functions, text):
    """As a state's compiler does it."""
    renderers = salt.loader.render(opts, functions)
    return renderers["jinja"](io.StringIO(text), saltenv="base", sls="web").read()


def test_only_states_of_that_build_ask_the_image(tmp_path):
    opts = opts_in(tmp_path)
    text = (
        "{{ salt['file.file_exists']('/x') }} {{ salt['pillar.get']('a') }} "
        "{{ salt.cmd.run('id') }}"
    )
    asked = []

    def ask(function, args, kwargs):
        asked.append((function, args, kwargs))
        return "the image"

    with answering(HERE, ask) as more:
        assert rendered({**opts, **more}, FUNCTIONS, text) == "the image pillar of a the image"
        assert rendered(opts, FUNCTIONS, text) == "asked this host pillar of a asked this host"
    assert rendered({**opts, **more}, FUNCTIONS, text).startswith("asked this host")
    assert asked == [("file.file_exists", ("/x",), {}), ("cmd.run", ("id",), {})]


def test_two_builds_at_once_ask_each_its_own(tmp_path):
    opts = opts_in(tmp_path)
    text = "{{ salt['file.file_exists']('/x') }}"
    with answering(HERE, lambda *_: "one") as one, answering(HERE, lambda *_: "two") as two:
        assert rendered({**opts, **one}, FUNCTIONS, text) == "one"
        assert rendered({**opts, **two}, FUNCTIONS, text) == "two"

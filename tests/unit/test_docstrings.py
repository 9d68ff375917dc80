"""The examples in the docstrings of loader modules."""

import inspect
import re
import shlex

import pytest

from salt_ubiq.modules import ubiq_docker
from salt_ubiq.output import ubiq as output
from salt_ubiq.runners import ubiq
from tests.support.documentation import mistake_in_salt_command, public_functions

FUNCTIONS = {
    f"{module.__virtualname__}.{name}": (command, function)
    for module, command in ((ubiq_docker, "salt-call"), (ubiq, "salt-run"))
    for name, function in public_functions(module).items()
}


def examples(function):
    """The lines below ``CLI Example``."""
    docstring = inspect.getdoc(function) or ""
    match = re.search(r"CLI Example:\n\n\.\. code-block:: bash\n\n((?: {4}.*\n?)+)", docstring)
    return [line.strip() for line in match[1].splitlines()] if match else []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_an_example_that_calls_it_with_arguments_that_it_takes(name):
    command, function = FUNCTIONS[name]
    lines = examples(function)
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert words[0] == command
        assert name in words
        assert mistake_in_salt_command(words) == ""


def test_the_outputters_example_calls_what_there_is():
    (line,) = examples(output.output)
    assert mistake_in_salt_command(shlex.split(line)) == ""


def test_all_functions_are_looked_at():
    assert {"ubiq_docker.packages", "ubiq_docker.build_all", "ubiq.graph"} <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("command", "mistake"),
    [
        ("salt-call --local ubiq_docker.bild web", "there is no ubiq_docker.bild among modules"),
        ("salt-run ubiq.build_all pus=True", "ubiq.build_all: got an unexpected keyword argument"),
        ("salt-call ubiq_docker.verify", "ubiq_docker.verify: missing a required argument"),
        ("salt-call ubiq_docker.build_service web mod=x", "ubiq_docker.build_service takes no mod"),
    ],
)
def test_a_mistake_in_an_example_would_be_seen(command, mistake):
    assert mistake_in_salt_command(command.split()).startswith(mistake)

"""What Salt's command line lets through to our functions."""

from __future__ import annotations

import inspect

import pytest
from salt.exceptions import NotImplemented as ShownWithoutTraceback
from salt.exceptions import SaltInvocationError

from salt_ubiq.modules import ubiq_docker
from salt_ubiq.runners import ubiq

WITH_NAMES = [
    function
    for module in (ubiq_docker, ubiq)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if not name.startswith("_")
    and function.__module__ == module.__name__
    and {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.KEYWORD_ONLY}
    <= {each.kind for each in inspect.signature(function).parameters.values()}
]


@pytest.mark.parametrize(
    "function", WITH_NAMES, ids=lambda each: f"{each.__module__}.{each.__name__}"
)
def test_what_comes_after_names_gets_through_with_salt_3006_and_what_is_unknown_is_refused(
    function,
):
    """That Salt sees no argument that can be given by its name alone."""
    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD in kinds
    with pytest.raises((SaltInvocationError, ShownWithoutTraceback), match=r"no argument.+forec"):
        function("web", forec=True, __pub_fun="x")


def test_there_are_such_functions():
    assert {each.__name__ for each in WITH_NAMES} == {"build_all", "plan", "push", "prune"}

"""States whose result no recipe can tell."""

import pytest

from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.unseen import unseen


def found(state, fun, **more):
    chunk = {"__sls__": "web", "state": state, "fun": fun, "name": "it", **more}
    return unseen(CompiledStates([chunk], {}, {}), str)


@pytest.mark.parametrize(
    ("state", "fun", "more"),
    [
        ("cmd", "run", {}),
        ("pkg", "latest", {}),
        ("git", "latest", {}),
        ("file", "managed", {"source": "https://x.example/a", "skip_verify": True}),
        ("archive", "extracted", {"source": "ftp://x.example/a.tar", "skip_verify": True}),
    ],
)
def test_what_something_outside_decides_is_named(state, fun, more):
    assert found(state, fun, **more) == (f"web: {state}.{fun} it",)


@pytest.mark.parametrize(
    ("state", "fun", "more"),
    [
        ("pkg", "installed", {}),
        ("file", "managed", {"source": "salt://a", "skip_verify": True}),
        ("file", "managed", {"source": "https://x.example/a", "source_hash": "sha256=0"}),
        ("git", "detached", {}),
    ],
)
def test_what_a_recipe_can_tell_is_not(state, fun, more):
    assert found(state, fun, **more) == ()


def test_what_does_not_compile_has_none():
    assert unseen(CompiledStates(["an error"], {}, {}), str) == ()

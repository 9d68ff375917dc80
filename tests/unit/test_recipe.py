"""What an image is made of, and what has changed in it."""

from dataclasses import replace

import pytest

from salt_ubiq import recipe
from salt_ubiq.catalogue import parse
from salt_ubiq.compiled import Compiled
from salt_ubiq.errors import BuildError
from salt_ubiq.recipe import Recipe

CONF = {
    "state": "file",
    "fun": "managed",
    "name": "/etc/nginx/nginx.conf",
    "__id__": "nginx.conf",
    "__sls__": "web",
    "__env__": "base",
    "order": 10000,
    "source": "salt://web/nginx.conf",
}
PACKAGE = {
    "state": "pkg",
    "fun": "installed",
    "name": "nginx",
    "__id__": "nginx",
    "__sls__": "web",
    "__env__": "base",
    "order": 10001,
}
COMPILED = Compiled(
    chunks=[CONF, PACKAGE],
    files={"salt://web/nginx.conf": "1"},
    pillar={"nginx": {"user": "www-data", "servers": []}, "admin": {}},
)
DECLARED = {"repository": "web", "base": "debian:12", "mods": ["web"], "config": {"cmd": "nginx"}}


def service(**changes):
    return parse({"services": {"web": {**DECLARED, **changes}}})["web"]


def made(compiled=COMPILED, parent="sha256:1", salt="3008.3", **changes):
    return recipe.of_service(service(**changes), parent, compiled, salt, str)


def compiled(**parts):
    return replace(COMPILED, **parts)


@pytest.mark.parametrize(
    ("new", "reasons"),
    [
        (made(), []),
        (made(parent="sha256:2"), ["parent debian:12 changed"]),
        (made(base="debian:13"), ["parent changed: debian:12 to debian:13"]),
        (made(mods=["web", "web-debug"]), ["mods changed: + web-debug"]),
        (made(mods=["admin"]), ["mods changed: + admin, - web"]),
        (
            made(compiled(files={"salt://web/nginx.conf": "2"})),
            ["salt://web/nginx.conf changed"],
        ),
        (
            made(compiled(files={**COMPILED.files, "salt://web/new": "1"})),
            ["salt://web/new added"],
        ),
        (made(compiled(files={})), ["salt://web/nginx.conf removed"]),
        (
            made(compiled(pillar={"nginx": {"user": "root", "servers": []}, "admin": {}})),
            ["pillar nginx:user changed"],
        ),
        (
            made(compiled(pillar={**COMPILED.pillar, "php": {"pool": {"size": 3}}})),
            ["pillar php added"],
        ),
        (
            made(compiled(pillar={"nginx": {"user": "www-data", "a": {"b": 1}, "servers": []}})),
            ["pillar nginx:a added", "pillar admin removed"],
        ),
        (
            made(compiled(chunks=[{**CONF, "mode": "0600"}, PACKAGE])),
            ["state web: file.managed /etc/nginx/nginx.conf changed"],
        ),
        (made(compiled(chunks=[CONF])), ["state web: pkg.installed nginx removed"]),
        (made(compiled(chunks=[PACKAGE, CONF])), ["states changed: their order"]),
        (made(config={"cmd": "apache"}), ["config cmd changed"]),
        (made(config={"cmd": "nginx", "user": "www-data"}), ["config user added"]),
        (made(build={"dns": ["1.1.1.1"]}), ["build dns added"]),
        (made(salt="3008.4"), ["Salt changed: 3008.3 to 3008.4"]),
    ],
)
def test_each_change_is_told_by_itself(new, reasons):
    assert new.changes_since(made()) == reasons
    assert (new.digest == made().digest) == (not reasons)


def test_states_and_files_that_follow_from_other_pillar_are_not_told():
    """Who acts on the pillar has acted on them."""
    new = made(
        Compiled(
            chunks=[{**CONF, "user": "root"}],
            files={"salt://web/other.conf": "1"},
            pillar={"nginx": {"user": "root", "servers": []}, "admin": {}},
        )
    )
    assert new.changes_since(made()) == ["pillar nginx:user changed"]


def test_a_file_with_another_content_is_told_whatever_else_changed():
    new = made(compiled(files={"salt://web/nginx.conf": "2"}), parent="sha256:2")
    assert new.changes_since(made()) == [
        "parent debian:12 changed",
        "salt://web/nginx.conf changed",
    ]


def test_a_state_put_in_between_changes_no_other():
    between = {**PACKAGE, "name": "curl", "__id__": "curl", "order": 10001}
    new = made(compiled(chunks=[CONF, between, {**PACKAGE, "order": 10002}]))
    assert new.changes_since(made()) == ["state web: pkg.installed curl added"]


def test_a_state_of_the_same_name_twice_counts_twice():
    new = made(compiled(chunks=[CONF, PACKAGE, PACKAGE]))
    assert new.changes_since(made()) == ["state web: pkg.installed nginx (2) added"]


def test_the_order_of_keys_changes_nothing():
    turned = compiled(
        chunks=[dict(reversed(CONF.items())), PACKAGE],
        pillar={"admin": {}, "nginx": {"servers": [], "user": "www-data"}},
    )
    assert made(turned).digest == made().digest


def test_a_recipe_survives_being_kept():
    assert Recipe(**made().to_dict()).digest == made().digest


def test_a_recipe_has_no_value_of_pillar_and_no_secret_in_the_name_of_a_state():
    command = {**PACKAGE, "state": "cmd", "fun": "run", "name": "login --password hunter2-hunter2"}
    secret = compiled(chunks=[command], pillar={"db": {"password": "hunter2-hunter2"}})

    def clean(text):
        return text.replace("hunter2-hunter2", "******")

    found = recipe.of_service(service(), "sha256:1", secret, "3008.3", clean)
    assert "hunter2" not in str(found.to_dict())
    assert "web: cmd.run login --password ******" in found.states


def test_states_that_do_not_compile_are_an_error_that_says_why():
    broken = Compiled(["Rendering SLS 'base:web' failed: mapping values"], {}, {})
    with pytest.raises(BuildError, match="web: the states do not compile:\nRendering SLS"):
        made(broken)

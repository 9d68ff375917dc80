"""What an image is made of, and what has changed in it."""

import hashlib
import importlib.metadata
import json
from dataclasses import replace

import pytest

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Settings
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import BuildError
from salt_ubiq.recipes import recipe
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe

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
COMPILED = CompiledStates(
    chunks=[CONF, PACKAGE],
    files={"salt://web/nginx.conf": "1"},
    pillar={"nginx": {"user": "www-data", "servers": []}, "admin": {}},
)
DECLARED = {"repository": "web", "base": "debian:12", "mods": ["web"], "config": {"cmd": "nginx"}}


def service(**changes):
    return parse({"services": {"web": {**DECLARED, **changes}}})["web"]


def made(compiled=COMPILED, parent="sha256:1", salt="3008.3", **changes):
    one = recipe.of_service(service(**changes), parent, compiled, compiled.files, str)
    return replace(one, salt=salt)


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
        (made(services="offline"), ["build services added"]),
        (made(services="started"), []),
        (made(salt="3008.4"), ["Salt changed: 3008.3 to 3008.4"]),
        (replace(made(), pip=("mako",)), ["ubiq:runtime:pip changed: + mako"]),
    ],
)
def test_each_change_is_told_by_itself(new, reasons):
    assert new.changes_since(made()) == reasons
    assert (new.digest == made().digest) == (not reasons)


def test_states_and_files_that_follow_from_other_pillar_are_not_told():
    """Who acts on the pillar has acted on them."""
    new = made(
        CompiledStates(
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


def test_it_is_made_with_the_salt_of_this_host_and_the_files_that_are_given():
    one = recipe.of_service(service(), "sha256:1", COMPILED, {"salt://b": "2", "salt://a": ""}, str)
    assert one.salt == importlib.metadata.version("salt")
    assert list(one.files.items()) == [("salt://a", ""), ("salt://b", "2")]


def test_a_recipe_survives_being_kept():
    assert Recipe(**made().to_dict()).digest == made().digest


def test_a_recipe_has_no_value_of_pillar_and_no_secret_in_the_name_of_a_state():
    command = {**PACKAGE, "state": "cmd", "fun": "run", "name": "login --password hunter2-hunter2"}
    secret = compiled(chunks=[command], pillar={"db": {"password": "hunter2-hunter2"}})

    def clean(text):
        return text.replace("hunter2-hunter2", "******")

    found = recipe.of_service(service(), "sha256:1", secret, {}, clean)
    assert "hunter2" not in str(found.to_dict())
    assert "web: cmd.run login --password ******" in found.states


def test_a_key_of_pillar_that_looks_secret_is_in_no_recipe_and_still_counts():
    tokens = [f"ghp_{letter * 36}" for letter in "abc"]

    def of(users):
        return made(compiled(pillar={"users": users}))

    one = of({tokens[0]: {"name": 1}, tokens[1]: {"name": 1}, "x": 1})
    assert "ghp" not in str(one.to_dict())
    assert [*one.pillar] == ["users:x", "users:******:name (1)", "users:******:name (2)"]
    assert of({tokens[0]: {"name": 1}, tokens[2]: {"name": 1}, "x": 1}).digest != one.digest
    other = of({tokens[0]: {"name": 2}, tokens[1]: {"name": 1}, "x": 1})
    assert other.changes_since(one) == ["pillar users:******:name (1) changed"]


# Keys of digests


def digest_key(recipe_key):
    return Catalogue({}, Settings(recipe_key=recipe_key)).digest_key


KEY, OTHER = digest_key("k" * 16), digest_key("l" * 16)


def keyed(key, new=COMPILED):
    return recipe.of_service(service(), "sha256:1", new, new.files, str, key)


def test_without_a_key_digests_are_as_they_have_been():
    plain = made().to_dict()
    del plain["key"]
    plain = {**plain, "states": list(plain["states"].items()), "format": 2}
    text = json.dumps(plain, sort_keys=True)
    assert made().digest == hashlib.sha256(text.encode()).hexdigest()
    assert digest_key(None) == digest_key("") == ""


def test_who_has_the_key_has_the_same_digest_and_nobody_else():
    assert keyed(KEY).digest == keyed(digest_key("k" * 16)).digest
    assert len({keyed(key).digest for key in ("", KEY, OTHER)}) == 3
    assert keyed(KEY, compiled(pillar={})).digest != keyed(KEY).digest


def test_a_pin_can_not_be_guessed_from_a_digest_with_a_key():
    """Without, whoever knows the rest of the recipe finds it by trying all."""

    def found(key):
        label = keyed(key, compiled(pillar={"door": "7351"})).digest
        pins = (f"{number:04}" for number in range(7300, 7400))
        return [pin for pin in pins if keyed("", compiled(pillar={"door": pin})).digest == label]

    assert found("") == ["7351"]
    assert found(KEY) == []


def test_a_recipe_with_a_key_survives_being_kept_and_does_not_show_it():
    one = keyed(KEY)
    assert Recipe(**one.to_dict()).digest == one.digest
    assert "k" * 16 not in str(one.to_dict())
    assert KEY not in repr(one)


@pytest.mark.parametrize(
    ("old", "new", "told"), [(KEY, OTHER, "changed"), ("", KEY, "added"), (KEY, "", "removed")]
)
def test_another_key_is_a_reason_and_so_is_what_else_changed(old, new, told):
    said = f"ubiq:recipe_key {told}"
    assert keyed(new).changes_since(keyed(old)) == [said]
    other = compiled(pillar={**COMPILED.pillar, "admin": {"x": 1}})
    changes = keyed(new, other).changes_since(keyed(old))
    assert changes[0] == said
    assert "pillar admin:x added" in changes


def test_a_base_has_a_key_too():
    base = parse({"bases": {"small": {"repository": "small", "dockerfile": "/x"}}})["small"]
    digests = {recipe.of_base(base, {}, {}, key).digest for key in ("", KEY, OTHER)}
    assert len(digests) == 3


def test_states_that_do_not_compile_are_an_error_that_says_why():
    broken = CompiledStates(["Rendering SLS 'base:web' failed: mapping values"], {}, {})
    with pytest.raises(BuildError, match="web: the states do not compile:\nRendering SLS"):
        made(broken)

"""Services on parents that are not as most are."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import docker.errors
import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, IMAGES

PARENT = f"""
FROM {BASE}
ONBUILD RUN false
USER web:staffs
"""
STATES = """
web:
  user.present: []
/etc/resolv.conf:
  file.managed:
    - contents: nameserver 192.0.2.1
resolver:
  cmd.run:
    - name: echo nameserver 192.0.2.1 > /etc/resolv.conf
/srv/resolved:
  cmd.run:
    - name: getent hosts deb.debian.org
"""


def test_a_parents_user_may_come_with_states_and_its_onbuild_is_told(host, engine, image_of):
    parent = image_of(PARENT, "parent")
    host.file("one.sls", STATES)
    built = host.call(
        "ubiq_docker.build_service",
        f"{IMAGES}one",
        base=parent,
        mods="one",
    )
    onbuild, managed, written, group = built["warnings"]
    assert f"{parent} has ONBUILD, which only a Dockerfile's FROM runs" in onbuild
    assert "RUN false" in onbuild
    assert "/etc/resolv.conf is of the container, not of the image: what file.managed" in managed
    assert written.endswith("lost: one: cmd.run echo nameserver 192.0.2.1 > /etc/resolv.conf")
    assert group.endswith("no container of it starts with this user: 'staffs' is not in /etc/group")
    config = engine.inspect_image(built["id"])["Config"]
    assert (config["User"], config.get("OnBuild")) == ("web:staffs", None)


def image_of_layers(engine, count):
    """Load an image of that many layers, each with a file; return its reference."""
    reference = f"{IMAGES}layers:{count}"
    layers = [_tar({f"{number}": b""}) for number in range(count)]
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {
        "architecture": engine.version()["Arch"],
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": digests},
    }
    names = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": [*names]}]
    files = {"manifest.json": json.dumps(manifest), "config.json": json.dumps(config)}
    for message in engine.load_image(
        _tar({**names, **{name: text.encode() for name, text in files.items()}})
    ):
        assert "error" not in message, message
    return reference


def _tar(contents):
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()


def test_a_parent_of_too_many_layers_is_told_before_anything_runs(host, engine):
    parent = image_of_layers(engine, 125)
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    with pytest.raises(CommandExecutionError) as failure:
        host.call("ubiq_docker.build_service", f"{IMAGES}one", base=parent, mods="one")
    assert str(failure.value).startswith(
        f"base: {parent} has 125 layers, and no image of this engine can have more than 125"
    )
    container = engine.create_container(parent, "never started")["Id"]
    try:
        with pytest.raises(docker.errors.APIError, match="max depth exceeded"):
            engine.commit(container)
    finally:
        engine.remove_container(container)


def test_a_parent_without_users_and_one_that_is_not_there_are_told_in_a_sentence(host, image_of):
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    without = image_of(f"FROM {BASE}\nRUN rm /etc/passwd\n", "without-users")
    unknown = f"sha256:{'0' * 64}"
    for parent, expected in {
        without: f"base: {without}: grains.items: Salt looks up root, and the image has none: have "
        "its /etc/passwd made in the base",
        unknown: "base: this engine has no image of that ID",
    }.items():
        with pytest.raises(CommandExecutionError) as failure:
            host.call("ubiq_docker.build_service", f"{IMAGES}one", base=parent, mods="one")
        assert str(failure.value).startswith(expected)

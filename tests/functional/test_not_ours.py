"""What a build must not touch, and what it must not leave in an image."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, IMAGES

MANY = 30_000
# All in package caches. Names with a line break, what str.splitlines takes for one, and
# what is no UTF-8; a mount of the container's own device.
STATES = r"""
names:
  cmd.run:
    - shell: /bin/bash
    - name: |
        set -e
        mkdir -p /var/cache/apk /var/cache/yum /var/cache/zypp/bound
        cd /var/cache/apk
        mkdir -p $'evil\n/srv' $'next\xc2\x85/line' $'line\xe2\x80\xa8/separator' $'\xff\xfe'
        touch $'evil\n/srv/file' $'\xff\xfe/\xff' -- '-rf' '* $(touch run)'
        ln -s /srv link
many:
  cmd.run:
    - name: cd /var/cache/yum && seq --format='a-name-that-is-long-enough-%g' MANY | xargs touch
bound:
  cmd.run:
    - name: >-
        mkdir /srv/bound && touch /srv/bound/file && mount --bind /srv/bound /var/cache/zypp/bound
""".replace("MANY", str(MANY))


@pytest.mark.parametrize("runtime", [True, False], ids=["runtime", "plain"])
def test_package_caches_are_emptied_in_the_image_and_nowhere_else(host, tmp_path, run_in, runtime):
    """Not in binds of the host, nor in a mount inside the container; whatever the names."""
    shared = [tmp_path / "apt" / "file", tmp_path / "pip" / "below" / "file"]
    for path in shared:
        path.parent.mkdir(parents=True)
        path.write_text("the host's")
    host.catalogue(runtime=runtime)
    host.file("one.sls", STATES)
    built = host.call(
        "ubiq_docker.build_service",
        f"{IMAGES}one",
        base=BASE,
        mods="one",
        package_cache=False,
        build={
            "cap_add": ["SYS_ADMIN"],
            "binds": [
                f"{tmp_path}/apt:/var/cache/apt",
                f"{tmp_path}/pip:/var/cache/dnf/pip",
            ],
        },
    )
    assert [path.read_text() for path in shared] == ["the host's"] * 2
    caches = ["/var/cache/apk", "/var/cache/yum", "/var/cache/zypp", "/var/cache/dnf"]
    assert run_in(built["image"], "find", *caches, "/srv", "-mindepth", "1").splitlines() == [
        "/var/cache/zypp/bound",
        "/var/cache/dnf/pip",
        "/srv/bound",
        "/srv/bound/file",
    ]


def test_a_build_fails_where_its_container_can_not_be_cleaned(host, engine):
    host.file("one.sls", "mv /bin/dash /bin/gone:\n  cmd.run: []\n")
    with pytest.raises(CommandExecutionError) as caught:
        host.call("ubiq_docker.build_service", f"{IMAGES}one", base=BASE, mods="one")
    message = str(caught.value)
    assert f"{IMAGES}one: in the build container, python3 remove" in message
    assert "ended with exit status 127" in message
    assert "/bin/python3" in message.split("exit status 127")[1]
    assert engine.images(f"{IMAGES}one") == []

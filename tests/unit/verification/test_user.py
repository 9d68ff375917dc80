"""Whether the image has the user that its command runs as."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.verification.user import unknown

FILES = {
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n",
    "/etc/group": b"web:x:33:\n",
}


def asked(user, files=FILES):
    containers = SimpleNamespace(
        trial=lambda *_, **__: nullcontext("container"),
        has_file=lambda _, path: path in files,
        read_file=lambda _, path: files[path],
    )
    session = SimpleNamespace(
        engine=SimpleNamespace(containers=containers), slot=SimpleNamespace(name="slot")
    )
    return unknown(ImageInfo("sha256:1", {"User": user}, 1), session)


@pytest.mark.parametrize("user", [None, "", "web", "root", "web:web", "33", "1000:1000", "web:0"])
def test_a_user_that_the_image_has_or_that_is_a_number_is_fine(user):
    assert asked(user) == ()


def test_one_that_it_does_not_have_is_named_with_the_file_that_lacks_it():
    assert asked("we") == ("'we' is not in /etc/passwd",)
    assert asked("web:staff") == ("'staff' is not in /etc/group",)
    assert asked("web", {}) == ("'web' is not in /etc/passwd",)

"""
The user that an image's command runs as: where the image has none of that name, no container of it
starts.
"""

from __future__ import annotations

from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo

_NEVER = ["never started"]


def unknown(image: ImageInfo, session: BuildSession) -> tuple[str, ...]:
    """Say which of the user and the group of an image's config it does not have itself."""
    user, _, group = str(image.config.get("User") or "").partition(":")
    wanted = {"/etc/passwd": user, "/etc/group": group}
    named = {path: name for path, name in wanted.items() if name and not name.isdecimal()}
    if not named:
        return ()
    containers = session.engine.containers
    with containers.trial(image.id, session.slot.name, entrypoint=_NEVER) as container:
        return tuple(
            f"'{name}' is not in {path}"
            for path, name in named.items()
            if not containers.has_file(container, path)
            or name not in names(containers.read_file(container, path))
        )


def names(content: bytes) -> frozenset[str]:
    """The names in ``/etc/passwd`` or ``/etc/group``."""
    lines = content.decode(errors="replace").splitlines()
    return frozenset(line.partition(":")[0] for line in lines)

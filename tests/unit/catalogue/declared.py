"""Declarations, and what is wrong with them."""

import pytest

from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError

DEBIAN = {"repository": "ubiquitous/debian", "dockerfile": "/srv/debian"}
WEB = {
    "repository": "ubiquitous/web",
    "base": "debian",
    "mods": ["web"],
    "build": {"binds": ["/a:/a"]},
}
MOODLE = {"repository": "ubiquitous/moodle", "base": "ubiquitous/web", "mods": ["moodle"]}


def three():
    """A base and two services, each built from the one before."""
    return parse({"bases": {"debian": DEBIAN}, "services": {"web": WEB, "moodle": MOODLE}})


def base(**keys):
    return {"repository": "ubiquitous/debian", "dockerfile": "/srv/debian", **keys}


def service(**keys):
    return {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"], **keys}


def web(**keys):
    return parse({"services": {"web": service(**keys)}})["web"]


def mistakes(data):
    """All mistakes as ``path: message``."""
    with pytest.raises(CatalogueError) as caught:
        parse(data)
    return [str(problem) for problem in caught.value.problems]


def mistakes_of_web(**keys):
    """The mistakes of one service, their paths without what is the same for all."""
    found = mistakes({"services": {"web": service(**keys)}})
    return [problem.removeprefix("ubiq:services:web:") for problem in found]

"""README and pages of ``docs/``, typed on hosts that have only what they name, from top to end."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs import hosts
from tests.support import own_host
from tests.support.documentation import Block, blocks
from tests.support.registry_server import RegistryServer
from tests.support.repository import copy_to

# By their first lines.
NOT_RUN = {
    "sudo make demo": "tests/integration does, on a clone",
    "sudo make test": "this is a part of it",
    "salt-call --local ubiq_docker.build_service ubiquitous/tools": "needs Docker Hub",
    "          ID: moodle-web": "a state of which no command is shown",
}
FAILING = ("moodle-web: the new image is not what it has to be",)
# What differs from run to run, and from host to host.
VARYING = {
    r"\d+(\.\d+)? (min \d+ s|min|s|ms)\b": "TIME",
    r"\d+(\.\d+)? (B|kB|MB|GB)\b": "SIZE",
    r"sha256:[0-9a-f]{12,64}": "ID",
    r"\d\d:\d\d:\d\d\.\d+": "CLOCK",
    r"\b\d{20}\b": "JOB",
    r" +": " ",
}

pytestmark = [
    pytest.mark.skipif(
        sys.version_info[:2] != hosts.PYTHON, reason="wheels for the hosts' Python are made by ours"
    ),
    pytest.mark.skipif(bool(own_host.why_not()), reason=own_host.why_not()),
]


@pytest.fixture(params=["3006", "3008"])
def host(request, tmp_path, engine):
    """A host with that Salt and, afterwards, an engine without what the page has made."""
    before = names(engine)
    yield hosts.make(request.param, request.config.cache.mkdir("hosts"), tmp_path)
    for container in engine.containers(all=True):
        engine.remove_container(container["Id"], v=True, force=True)
    for name in names(engine) - before:
        engine.remove_image(name)
    shutil.rmtree(tmp_path)  # a gigabyte


def names(engine):
    """Of the images on the engine."""
    tags = {tag for image in engine.images() for tag in image["RepoTags"] or ()}
    return tags - {"<none>:<none>"}


@pytest.fixture
def registry(tmp_path_factory):
    with RegistryServer(tmp_path_factory.mktemp("registry") / "there", port=5000) as server:
        yield server


def test_readme(host):
    copy_to(host.root / "root/salt-ubiq")
    read_through("README.md", host, "/root/salt-ubiq")


def test_first_image(host, registry):
    install(host)
    read_through("docs/first-image.md", host)


def install(host):
    installed = host.run("salt-pip install --quiet salt-ubiq")
    assert installed.returncode == 0, installed.stdout


def read_through(page, host, directory="/root"):
    """Write its files, run its commands, and compare what they print, in order."""
    printed = ""
    for block in blocks(page):
        if any(block.text.startswith(first) for first in NOT_RUN):
            continue
        if block.language == "sh":
            printed = type_in(block, host, directory)
        elif path := file_of(block):
            host.write(path, block.text, directory)
        elif not block.language:
            compare(block, printed)


def type_in(block: Block, host: hosts.Host, directory: str) -> str:
    done = host.run(block.text, directory)
    failed = any(first in done.stdout for first in FAILING)
    assert (done.returncode != 0) == failed, f"{block.place}:\n{block.text}\n{done.stdout}"
    assert "Traceback" not in done.stdout
    return done.stdout


def file_of(block: Block) -> str:
    """The path that the line before the block ends with, or begins with."""
    match = re.search(r"`([\w./-]*(?:/srv/|\.yml)[\w./-]*)`", block.before)
    return match[1] if match and block.before.endswith(":") else ""


def compare(block: Block, printed: str) -> None:
    """All lines of the block are among those printed, in their order; ``…`` is any line."""
    remaining = iter([normal(line) for line in printed.splitlines()])
    for line in block.text.splitlines():
        if line and line != "…":
            assert normal(line) in remaining, f"{block.place}: not printed: {line}\n{printed}"


def normal(line: str) -> str:
    for pattern, word in VARYING.items():
        line = re.sub(pattern, word, line)
    return line.strip()


def test_what_a_page_prints_is_compared_line_by_line():
    block = Block("page:1", "", "web  built  9 s  310 MB\n\n1 built\n", "")
    compare(block, "x\nweb  built  12 s  9 kB\ny\n1 built\n")
    with pytest.raises(AssertionError, match="page:1: not printed: 1 built"):
        compare(block, "1 built\nweb  built  12 s  9 kB\n")


def test_a_file_is_what_the_line_before_names():
    assert (
        file_of(Block("", "yaml", "", "and `/srv/salt/web/init.sls`:")) == "/srv/salt/web/init.sls"
    )
    assert file_of(Block("", "yaml", "", "With this `docker-compose.yml`:")) == "docker-compose.yml"
    assert file_of(Block("", "yaml", "", "Declare images under `ubiq`:")) == ""
    assert Path("/root", "/srv/salt") == Path("/srv/salt")

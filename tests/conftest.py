"""Fixtures that need a Docker engine or Salt; unit tests use none of them."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import docker
import docker.errors
import docker.types
import pytest
import salt._logging
import salt.config
import salt.loader
import salt.pillar

from tests.support import first_images, own_host, salt_loaders
from tests.support.dockerd import Dockerd
from tests.support.repository import REPOSITORY
from tests.support.side_by_side import SideBySide, place

UNIT = REPOSITORY / "tests" / "unit"
# Whatever tests make on the engine bears one of these.
IMAGES = "salt-ubiq-test/"
NAMES = "test-"
DEBIAN = "debian:12-slim"
BASE = f"{IMAGES}debian-python:12"


_own_engine = pytest.StashKey[Dockerd]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before any thread or server is there: where this process runs tests, and how."""
    # A shell keeps Ctrl-C from what a script runs in the background.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    salt_loaders.list_directories_once()
    # Salt keeps what is logged for a config that no test has, at levels that no test reads.
    salt._logging.shutdown_temp_handler()
    logging.getLogger().setLevel(logging.INFO)
    if hasattr(config, "workerinput"):
        own_host.end_with_parent()
    runs_tests = hasattr(config, "workerinput") or config.getoption("numprocesses") is None
    wants_engine = not all(_path(each).is_relative_to(UNIT) for each in config.args)
    if runs_tests and wants_engine and not own_host.why_not():
        config.stash[_own_engine] = own_host.become()


def _path(argument: str) -> Path:
    return Path(argument.partition("::")[0]).resolve()


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors, for the time in which all wait for something."""
    return 1 if own_host.why_not() else 1 + (os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """A file or folder per process, in the order in which they are collected."""
    config.option.loadscopereorder = False
    return SideBySide(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what takes longest."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.fixture(scope="session")
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    cachedir: Path,
    grains: dict[str, Any],
) -> Iterator[docker.APIClient]:
    """
    The API of this process's own engine, or of the one that anybody would use here.

    There, no volume is left afterwards that builds of tests have made.
    """

    def make_first_images() -> None:
        host = Host(tmp_path_factory.mktemp("first"), cachedir, grains)
        host.file("first.sls", "/srv/first:\n  file.managed\n")
        first = {"repository": f"{IMAGES}first", "base": "test-base", "mods": ["first"]}
        host.catalogue(**{"test-first": first})
        host.call("ubiq_docker.build_service", "test-first", package_cache=False)
        client = docker.APIClient(version="auto")
        client.remove_image(f"{IMAGES}first")
        client.close()

    if own := request.config.stash.get(_own_engine, None):
        saved = request.config.cache.mkdir("engine")
        first_images.start(own, saved, make_first_images)
    client = docker.from_env(version="auto").api
    had = volume_names(client)
    yield client
    for name in volume_names(client) - had:
        with suppress(docker.errors.APIError):  # in use, so another's
            client.remove_volume(name)
    client.close()


def images_of_tests(engine: docker.APIClient) -> list[dict[str, Any]]:
    """The images on the engine that tests have made."""
    return [
        image
        for image in engine.images(all=True)
        if any(tag.startswith(IMAGES) for tag in image["RepoTags"] or ())
        or _is_of_tests((image["Labels"] or {}).get("org.salt-ubiq.image", ""))
    ]


def _is_of_tests(label: str) -> bool:
    """Also that of a shared layer: ``one,two on test-base``."""
    return any(name.startswith((NAMES, IMAGES)) for name in label.split(" on "))


def shared_layers(engine: docker.APIClient) -> dict[str, str]:
    """The shared layers on the engine that tests have made: what they are, by their IDs."""
    return {
        image["Id"]: image["Labels"]["org.salt-ubiq.image"]
        for image in images_of_tests(engine)
        if any(tag.startswith("salt-ubiq.local/shared:") for tag in image["RepoTags"] or ())
    }


def build_leftovers(engine: docker.APIClient, workspace: str) -> list[str]:
    """Containers and private tags of builds in that workspace."""
    containers = engine.containers(all=True, filters={"name": f"salt-ubiq-{workspace}"})
    tags = engine.images("salt-ubiq.local/build")
    return [container["Names"][0] for container in containers] + [
        tag for image in tags for tag in image["RepoTags"] if workspace in tag
    ]


def volume_names(engine: docker.APIClient) -> set[str]:
    """The volumes on the engine that builds have made."""
    names = {volume["Name"] for volume in engine.volumes()["Volumes"] or ()}
    return {name for name in names if name.startswith(("salt-ubiq-runtime-", "cache-of-"))}


def _remove(engine: docker.APIClient, images: list[dict[str, Any]]) -> None:
    below = {image["Id"]: image["ParentId"] for image in images}
    for image in sorted(images, key=lambda image: _depth(image["Id"], below), reverse=True):
        tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
        names = [tag for tag in tags if tag.startswith((IMAGES, "salt-ubiq.local/"))]
        # An image from elsewhere may bear a name of a test's.
        for name in [*names, *([image["Id"]] if names == tags else [])]:
            _remove_image(engine, name)


def _remove_image(engine: docker.APIClient, name: str) -> None:
    for _ in range(10):
        try:
            engine.remove_image(name, force=True)
        except docker.errors.APIError as exc:
            if "container" not in str(exc):
                return  # it is gone with another, or needed by one
            time.sleep(0.5)  # for the engine to be done with removing that
        else:
            return


def _depth(image_id: str, below: Mapping[str, str]) -> int:
    return 1 + _depth(below[image_id], below) if image_id in below else 0


@contextmanager
def no_new_images(engine: docker.APIClient) -> Iterator[None]:
    """Afterwards, no image is left that tests have made in the meantime."""
    before = {image["Id"] for image in images_of_tests(engine)}
    yield
    _remove(engine, [each for each in images_of_tests(engine) if each["Id"] not in before])
    assert {image["Id"] for image in images_of_tests(engine)} == before


@pytest.fixture
def images(engine: docker.APIClient) -> Iterator[None]:
    """Afterwards, no image is left that the test has made."""
    with no_new_images(engine):
        yield


class Host:
    """A masterless Salt minion with files and pillar of its own."""

    def __init__(self, directory: Path, cachedir: Path, grains: Mapping[str, Any]) -> None:
        self.states = directory / "states"
        self.pillar_root = directory / "pillar"
        self.cachedir = cachedir
        self._grains = dict(grains)
        self._directory = directory
        self.opts: dict[str, Any] = {}
        self.base = BASE_DECLARATION
        self.states.mkdir(parents=True)
        (self.states / "_docker").symlink_to(REPOSITORY / "_docker")
        self.pillar({})

    def file(self, path: str, text: str) -> None:
        """Write a file of the file server."""
        target = self.states / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text))

    def pillar(self, pillar: Mapping[str, Any]) -> None:
        """Set the whole pillar; states are applied once, where its catalogue doesn't say twice."""
        if "ubiq" in pillar:
            defaults = {"converged": False, **pillar["ubiq"].get("defaults", {})}
            pillar = {**pillar, "ubiq": {**pillar["ubiq"], "defaults": defaults}}
        self.pillar_root.mkdir(parents=True, exist_ok=True)
        (self.pillar_root / "top.sls").write_text("base: {'*': [all]}\n")
        (self.pillar_root / "all.sls").write_text("#!json\n" + json.dumps(pillar))

    def catalogue(
        self, runtime: Any = True, defaults: Mapping[str, Any] | None = None, **services: Any
    ) -> None:
        """Set a catalogue with the tests' base and these services, and no more pillar."""
        images = {"bases": {"test-base": self.base}, "services": services}
        self.pillar({"ubiq": {"runtime": runtime, "defaults": defaults or {}, **images}})

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call an execution function, as salt-call does; an image of no catalogue is built once."""
        if function == "ubiq_docker.build_service" and "base" in kwargs:
            kwargs = {"converged": False, **kwargs}
        return self.modules[function](*args, **kwargs)

    @property
    def modules(self) -> Any:
        """Salt's execution modules, freshly loaded with what pillar says now."""
        opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
        opts = {
            **opts,
            "root_dir": str(self._directory),
            "cachedir": str(self.cachedir),
            "pki_dir": str(self._directory / "pki"),
            "sock_dir": str(self._directory / "run"),
            "extension_modules": str(self._directory / "extmods"),
            "file_client": "local",
            "file_roots": {"base": [str(self.states)]},
            "pillar_roots": {"base": [str(self.pillar_root)]},
            "grains": self._grains,
            **self.opts,
        }
        opts["pillar"] = salt.pillar.get_pillar(opts, opts["grains"], "host").compile_pillar()
        return salt.loader.minion_mods(opts, utils=salt.loader.utils(opts), context={})


BASE_DECLARATION = {
    "repository": BASE.partition(":")[0],
    "tags": ["12"],
    "dockerfile": "salt://_docker/debian-python",
    "buildargs": {"FROM": DEBIAN},
    "bootstrap": {"image": DEBIAN, "suite": "bookworm", "variant": "minbase"},
}


@pytest.fixture(scope="session")
def grains() -> dict[str, Any]:
    opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
    return dict(salt.loader.grains(opts))


@pytest.fixture(scope="session")
def cachedir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: Salt's thin, which takes seconds to make, is in it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def base(
    engine: docker.APIClient,
    tmp_path_factory: pytest.TempPathFactory,
    cachedir: Path,
    grains: dict[str, Any],
) -> Iterator[str]:
    """The reference of a base with Python: the project's own, under the tests' name."""
    had_debian = bool(engine.images(DEBIAN))
    host = Host(tmp_path_factory.mktemp("base"), cachedir, grains)
    host.catalogue()
    yield host.call("ubiq_docker.build_base", "test-base")["image"]
    _remove(engine, images_of_tests(engine))
    if not had_debian:
        engine.remove_image(DEBIAN)


@pytest.fixture
def host(
    tmp_path: Path,
    cachedir: Path,
    grains: dict[str, Any],
    base: str,
    images: None,
    engine: docker.APIClient,
) -> Iterator[Host]:
    """A host with the tests' base built; builds leave nothing behind on the engine."""
    host = Host(tmp_path, cachedir, grains)
    host.catalogue()
    yield host
    workspace = (cachedir / "ubiq" / "id").read_text()
    assert build_leftovers(engine, workspace) == []


@pytest.fixture(scope="module")
def module_host(
    tmp_path_factory: pytest.TempPathFactory,
    cachedir: Path,
    grains: dict[str, Any],
    base: str,
    engine: docker.APIClient,
) -> Iterator[Host]:
    """A host whose images all tests of a module go on from."""
    with no_new_images(engine):
        host = Host(tmp_path_factory.mktemp("module"), cachedir, grains)
        host.catalogue()
        yield host


@contextmanager
def all_in_use(base: str, engine: docker.APIClient) -> Iterator[None]:
    """What of this package is on the engine stays there: containers use it."""
    layers = [tag for each in engine.images("salt-ubiq.local/shared") for tag in each["RepoTags"]]
    mounts = [
        docker.types.Mount(f"/volumes/{name}", name, no_copy=True) for name in volume_names(engine)
    ]
    containers = [
        engine.create_container(
            image, ["true"], host_config=engine.create_host_config(mounts=mounts)
        )["Id"]
        for image in [base, *layers]
    ]
    try:
        yield
    finally:
        for container in containers:
            engine.remove_container(container)


@pytest.fixture
def nothing_of_others(base: str, engine: docker.APIClient) -> Iterator[None]:
    """Pruning removes nothing that was on the engine before the test."""
    with all_in_use(base, engine):
        yield


@pytest.fixture
def image_of(engine: docker.APIClient, images: None) -> Any:
    """
    ``image_of(dockerfile, name)``: build an image from a Dockerfile's text and
    return its reference.
    """

    return partial(image_with, engine)


def image_with(engine: docker.APIClient, dockerfile: str, name: str) -> str:
    """Build an image from a Dockerfile's text; return its reference."""
    reference = f"{IMAGES}{name}:latest"
    file = io.BytesIO(dockerfile.encode())
    messages = list(engine.build(fileobj=file, tag=reference, decode=True, rm=True))
    assert not any("error" in message for message in messages), messages[-3:]
    return reference


@pytest.fixture
def run_in(engine: docker.APIClient) -> Any:
    """``run_in(reference, *command)``: what the command prints in a container of the image."""

    def run(reference: str, *command: str) -> str:
        container = engine.create_container(reference, list(command), entrypoint=[])
        try:
            engine.start(container)
            engine.wait(container)
            return engine.logs(container).decode().strip()
        finally:
            engine.remove_container(container, v=True, force=True)

    return run

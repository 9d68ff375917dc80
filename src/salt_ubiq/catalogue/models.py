"""
What can be declared, as typed models: bases, services, their configs and checks, the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from salt_ubiq.catalogue.fields import (
    MOST_RETRIES,
    AbsolutePath,
    Command,
    Environment,
    Interval,
    Labels,
    Names,
    Port,
    PythonPackages,
    Repository,
    SaltUrls,
    Seconds,
    Tag,
    Text,
    below_root,
    build_arguments,
    context,
    known_signal,
    listed,
    url_path,
)
from salt_ubiq.catalogue.references import tagged

KEY = "ubiq"
"""Where the catalogue is in pillar, or in the minion's config."""

IDENTITY = frozenset({"name", "path"})
"""What an image gets from its place in the catalogue, not from its declaration."""


class _Declaration(BaseModel):
    """What all parts of the catalogue have in common: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthcheck(_Declaration):
    """The image's HEALTHCHECK; times in seconds."""

    test: Annotated[Command, Field(min_length=1)]
    interval: Interval | None = None
    timeout: Interval | None = None
    start_period: Interval | None = None
    retries: Annotated[int, Field(gt=0, le=MOST_RETRIES)] | None = None


class ImageConfig(_Declaration):
    """The OCI image config; ``None`` means: as the parent has it."""

    cmd: Command | None = None
    entrypoint: Command | None = None
    env: Environment = {}
    exposed_ports: tuple[Port, ...] = ()
    volumes: tuple[Annotated[AbsolutePath, AfterValidator(below_root)], ...] = ()
    user: Text | None = None
    working_dir: AbsolutePath | None = None
    labels: Labels = {}
    stop_signal: Annotated[Text, AfterValidator(known_signal)] | None = None
    healthcheck: Healthcheck | None = None


class HttpAnswer(_Declaration):
    """What an image answers to a GET request of its own container, once it runs."""

    port: Annotated[int, Field(gt=0, lt=65536)] = 80
    path: Annotated[Text, AfterValidator(url_path)] = "/"
    host: Text = "localhost"
    status: int = 200
    text: Text | None = None


class Check(_Declaration):
    """
    One proof that an image works; just one of ``cmd``, ``file``, ``port``, ``http``, ``healthy``.

    ``environment`` is for the container in which the check runs, ``timeout`` is in seconds.
    """

    cmd: Annotated[Command, Field(min_length=1)] | None = None
    file: AbsolutePath | None = None
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    http: HttpAnswer | None = None
    healthy: Literal[True] | None = None
    environment: Environment = {}
    timeout: Seconds = 30

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        if sum(getattr(self, kind) is not None for kind in CHECKS) != 1:
            raise ValueError(f"write just one of {', '.join(CHECKS)}")
        return self


CHECKS = ("cmd", "file", "port", "http", "healthy")


class Bootstrap(_Declaration):
    """How to make a Dockerfile's FROM with mmdebstrap; ``None`` is mmdebstrap's default."""

    image: Text
    suite: Text
    mirror: Text | None = None
    variant: Text | None = None
    include: Names = ()
    keyring: AbsolutePath | None = None


class Image(_Declaration):
    """What bases and services have in common."""

    name: str
    path: str
    repository: Repository
    tags: Annotated[tuple[Tag, ...], Field(min_length=1), BeforeValidator(listed)] = ("latest",)
    network_mode: Text | None = None
    timeout: Seconds = 3600
    retries: Annotated[int, Field(ge=0, le=MOST_RETRIES)] = 0
    allowed_to_fail: bool = False
    push: bool = False
    verify: tuple[Check, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """``repository:tag`` for every tag."""
        return tuple(f"{self.repository}:{tag}" for tag in self.tags)

    def where(self, key: str) -> str:
        """The place of one of its keys, as error messages name it."""
        return f"{self.path}:{key}" if self.path else key

    @property
    def reference(self) -> str:
        """The first ``repository:tag``, by which the image is spoken of."""
        return self.references[0]


class Base(Image):
    """An image built from a Dockerfile."""

    dockerfile: Annotated[Text, AfterValidator(context)]
    buildargs: Environment = {}
    bootstrap: Bootstrap | None = None
    saltenv: Text = "base"

    @property
    def made_names(self) -> dict[str, str]:
        """What a build may name beside its own tags, by the key that has it do so."""
        return {"bootstrap:image": tagged(self.bootstrap.image)} if self.bootstrap else {}


class Service(Image):
    """An image built by applying SLS modules to its parent."""

    base: Text
    mods: Annotated[Names, Field(min_length=1)]
    extra_filerefs: SaltUrls = ()
    pillar: dict[str, Any] = {}
    saltenv: Text = "base"
    config: ImageConfig = ImageConfig()
    build: Annotated[dict[str, Any], AfterValidator(build_arguments)] = {}
    package_cache: bool = True
    share: bool = True
    checkpoints: bool = True
    keep_failed: bool = False
    converged: Literal[True, False, "warn"] = "warn"
    services: Literal["started", "offline", "fail"] = "started"
    certificates: Literal["image", "host"] = "image"

    def layer(self, mods: Iterable[str]) -> str:
        """What people are told of the layer with a beginning of its ``mods``."""
        return f"{','.join(mods)} on {self.base}"

    @property
    def failed_reference(self) -> str:
        """What a build that fails is kept as."""
        return f"{self.repository}:failed"

    @property
    def made_names(self) -> dict[str, str]:
        """What a build may name beside its own tags, by the key that has it do so."""
        return {"keep_failed": self.failed_reference} if self.keep_failed else {}


class Questions(_Declaration):
    """
    Who answers what states ask while they render: modules of Salt whose functions run ``here``,
    on the host that builds, or in a container of the ``image``, whatever is usual for them.
    """

    here: Names = ()
    image: Names = ()


class Runtime(_Declaration):
    """
    Where the Python comes from that Salt runs with in build containers; ``pip`` has the packages
    for it that states need.
    """

    image: Text | None = None
    host: bool = False
    suite: Text = "bookworm"
    mirror: Text | None = None
    keyring: AbsolutePath | None = None
    pip: PythonPackages = ()

    @model_validator(mode="after")
    def _one_source(self) -> Runtime:
        if self.image and self.host:
            raise ValueError("image and host exclude each other: take one away")
        return self


@dataclass(frozen=True)
class Settings:
    """
    What the catalogue has for all images.

    runtime
        ``None`` where Salt is to run with each image's own Python

    pillar_keys
        the keys of pillar that the states of an SLS module see, by module

    registry
        ``None`` where images go to that of their own repository

    secrets
        paths into pillar

    recipe_key
        ``None`` where digests of recipes have none
    """

    runtime: Runtime | None = field(default_factory=Runtime)
    pillar_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    registry: str | None = None
    secrets: tuple[str, ...] = ()
    recipe_key: str | None = None
    questions: Questions = field(default_factory=Questions)

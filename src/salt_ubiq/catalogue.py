"""
The catalogue: the declaration of all images, read from pillar or minion config.

:func:`parse` turns the value of the key ``ubiq`` into a typed, validated
:class:`Catalogue`, or raises one :class:`~salt_ubiq.errors.CatalogueError` that
lists every mistake with its path.
"""

from __future__ import annotations

import inspect
import re
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import docker
import docker.types
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from salt.utils.args import yamlify_arg
from saltext.dockermod.utils.dockermod.translate.container import ALIASES

from salt_ubiq import graph
from salt_ubiq.errors import CatalogueError, Problem, UnknownImage, near_matches

KEY = "ubiq"

# Docker's reference grammar (distribution/reference), without the digest.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
# What has neither dot nor port is part of the path, but for localhost.
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+|localhost|{_LABEL}(?=:))(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*")
_PREFIX = re.compile(rf"{_HOST}(?:/{_COMPONENT})*")
_LONGEST_REPOSITORY = 255
_LONGEST_NAME = 128  # files are named after it
_SHORTEST_KEY = 16
_LONGEST = 365 * 24 * 3600  # seconds
_MOST_RETRIES = 1000
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_REFERENCE = re.compile(
    rf"sha256:[0-9a-f]{{64}}|{_REPOSITORY.pattern}(?::{_TAG.pattern})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

# Arguments of docker.sls_build and docker.create that a build sets itself, under all of
# their names.
_RESERVED = frozenset(
    "image name cmd command entrypoint user working_dir workdir hostname labels label interactive "
    "stdin_open tty detach auto_remove rm stop_timeout stop_signal healthcheck use_config_proxy "
    "start repository tag base mods dryrun saltenv pillarenv pillar extra_filerefs".split()
)
# What docker.create has besides: its own arguments, the SDK's, and what Salt calls those as well.
_BUILD_ARGUMENTS = frozenset(
    {"client_timeout", "ignore_collisions", "networks", "skip_translate", "validate_ip_addrs"}
    | {"log_driver", "log_opt"}
    | inspect.signature(docker.APIClient.create_container).parameters.keys()
    | inspect.signature(docker.types.HostConfig).parameters.keys()
    | ALIASES.keys()
) - {"self", "version"}
_SIGNALS = (
    {each.name.removeprefix("SIG") for each in signal.Signals}
    | {f"RTMIN+{number}" for number in range(1, 16)}
    | {f"RTMAX-{number}" for number in range(1, 15)}
)
# Where builds have images that have no tag of their own yet, shared layers and the like.
_OUR_HOST = "salt-ubiq.local"


def _text(value: object) -> object:
    """YAML reads ``12`` as a number where a person means text."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("has a NUL character, which no text of Docker's may have")
    if isinstance(value, float):
        raise ValueError(f"{value} is a number in YAML, which drops digits: write it in quotes")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _listed(value: object) -> object:
    """Accept ``a,b`` where a list of names is meant, as Salt does for ``mods``."""
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _command(value: object) -> object:
    """Docker's shell form: a string is run by ``/bin/sh -c``."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty: write [] for none")
    return ["/bin/sh", "-c", value] if isinstance(value, str) else value


def _repository(value: str) -> str:
    if len(value) > _LONGEST_REPOSITORY:
        raise ValueError(f"Docker refuses a repository of more than {_LONGEST_REPOSITORY} letters")
    if value.partition("/")[0] == _OUR_HOST:
        raise ValueError(f"{_OUR_HOST} is where builds keep images of their own: take another host")
    if not _REPOSITORY.fullmatch(value):
        raise ValueError(
            f"Docker refuses '{value}' as a repository: lower-case letters, digits and "
            "single . _ - between them, parts separated by /, no tag"
        )
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise ValueError(
            f"Docker refuses '{value}' as a tag: letters, digits, _ . -, at most 128, "
            "not starting with . or -"
        )
    return value


def _port(value: str) -> str:
    match = re.fullmatch(r"(\d+)(?:/(tcp|udp|sctp))?", value)
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError(f"'{value}' is not a port: write 80, 80/tcp or 53/udp")
    return f"{match[1]}/{match[2] or 'tcp'}"


def _salt_url(value: str) -> str:
    if not value.startswith("salt://"):
        raise ValueError(f"'{value}' is not a salt:// URL")
    return value


def _context(value: str) -> str:
    if not value.startswith(("salt://", "/")):
        raise ValueError(f"'{value}' is neither a salt:// URL nor an absolute directory")
    return value


def _url_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"'{value}' is not the path of a URL: it starts with /")
    return value


def _absolute(value: str) -> str:
    if not PurePosixPath(value).is_absolute():
        raise ValueError(f"'{value}' is not an absolute path")
    return value


def _below_root(value: str) -> str:
    if not PurePosixPath(value).name:
        raise ValueError("/ itself can't be a volume")
    return value


def _variable(value: str) -> str:
    if "=" in value:
        raise ValueError("the name of a variable has no =")
    return value


def _stop_signal(value: str) -> str:
    name = value.upper().removeprefix("SIG")
    if not (name in _SIGNALS or (name.isdecimal() and 0 < int(name) <= signal.SIGRTMAX)):
        raise ValueError(f"'{value}' is not a signal: write one as SIGTERM, or its number")
    return value


def _build_arguments(value: dict[str, Any]) -> dict[str, Any]:
    taken = sorted(_RESERVED & value.keys())
    if taken:
        raise ValueError(f"{', '.join(taken)}: set by the build itself, remove it")
    if "env" in value:
        raise ValueError("env: write environment, a mapping, which is given to the states")
    if not isinstance(value.get("environment", {}), Mapping):
        raise ValueError("environment: write a mapping of names to values")
    for key in value:
        if key not in _BUILD_ARGUMENTS:
            raise ValueError(f"{key}: {_unknown_argument(key)}")
    return value


def _unknown_argument(key: str) -> str:
    matches = near_matches(key, _BUILD_ARGUMENTS - _RESERVED)
    return f"docker.create has no such argument{matches}"


Text: TypeAlias = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Repository: TypeAlias = Annotated[Text, AfterValidator(_repository)]
Tag: TypeAlias = Annotated[Text, AfterValidator(_tag)]
Names: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
SaltUrls: TypeAlias = Annotated[
    tuple[Annotated[Text, AfterValidator(_salt_url)], ...], BeforeValidator(_listed)
]
_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Names)
Command: TypeAlias = Annotated[
    tuple[Annotated[str, BeforeValidator(_text)], ...], BeforeValidator(_command)
]
Labels: TypeAlias = dict[Text, Annotated[str, BeforeValidator(_text)]]
Environment: TypeAlias = dict[
    Annotated[Text, AfterValidator(_variable)], Annotated[str, BeforeValidator(_text)]
]
Port: TypeAlias = Annotated[Text, AfterValidator(_port)]
AbsolutePath: TypeAlias = Annotated[Text, AfterValidator(_absolute)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=_LONGEST, allow_inf_nan=False)]
# Docker refuses less.
Interval: TypeAlias = Annotated[float, Field(ge=0.001, le=_LONGEST, allow_inf_nan=False)]


class _Declaration(BaseModel):
    """What all parts of the catalogue have in common: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthcheck(_Declaration):
    """The image's HEALTHCHECK; times in seconds."""

    test: Annotated[Command, Field(min_length=1)]
    interval: Interval | None = None
    timeout: Interval | None = None
    start_period: Interval | None = None
    retries: Annotated[int, Field(gt=0, le=_MOST_RETRIES)] | None = None


class ImageConfig(_Declaration):
    """The OCI image config; ``None`` means: as the parent has it."""

    cmd: Command | None = None
    entrypoint: Command | None = None
    env: Environment = {}
    exposed_ports: tuple[Port, ...] = ()
    volumes: tuple[Annotated[AbsolutePath, AfterValidator(_below_root)], ...] = ()
    user: Text | None = None
    working_dir: AbsolutePath | None = None
    labels: Labels = {}
    stop_signal: Annotated[Text, AfterValidator(_stop_signal)] | None = None
    healthcheck: Healthcheck | None = None


class HttpAnswer(_Declaration):
    """What an image answers to a GET request of its own container, once it runs."""

    port: Annotated[int, Field(gt=0, lt=65536)] = 80
    path: Annotated[Text, AfterValidator(_url_path)] = "/"
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
    tags: Annotated[tuple[Tag, ...], Field(min_length=1), BeforeValidator(_listed)] = ("latest",)
    network_mode: Text | None = None
    timeout: Seconds = 3600
    retries: Annotated[int, Field(ge=0, le=_MOST_RETRIES)] = 0
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

    dockerfile: Annotated[Text, AfterValidator(_context)]
    buildargs: Environment = {}
    bootstrap: Bootstrap | None = None
    saltenv: Text = "base"

    @property
    def made_names(self) -> dict[str, str]:
        """What a build may name beside its own tags, by the key that has it do so."""
        return {"bootstrap:image": _tagged(self.bootstrap.image)} if self.bootstrap else {}


class Service(Image):
    """An image built by applying SLS modules to its parent."""

    base: Text
    mods: Annotated[Names, Field(min_length=1)]
    extra_filerefs: SaltUrls = ()
    pillar: dict[str, Any] = {}
    saltenv: Text = "base"
    config: ImageConfig = ImageConfig()
    build: Annotated[dict[str, Any], AfterValidator(_build_arguments)] = {}
    package_cache: bool = True
    share: bool = True
    keep_failed: bool = False
    converged: Literal[True, False, "warn"] = "warn"

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


class Runtime(_Declaration):
    """Where the Python comes from that Salt runs with in build containers."""

    image: Text | None = None
    host: bool = False
    suite: Text = "bookworm"
    mirror: Text | None = None
    keyring: AbsolutePath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Runtime:
        if self.image and self.host:
            raise ValueError("image and host exclude each other: take one away")
        return self


class Catalogue:
    """
    All images by name, bases before services.

    ``runtime`` is ``None`` where Salt is to run with each image's own Python,
    ``registry`` where images go to that of their own repository, ``recipe_key`` where
    digests of recipes have none. ``secrets`` are paths into pillar.
    """

    def __init__(
        self,
        images: Mapping[str, Base | Service],
        runtime: Runtime | None,
        pillar_keys: Mapping[str, tuple[str, ...]] | None = None,
        registry: str | None = None,
        secrets: tuple[str, ...] = (),
        recipe_key: str | None = None,
    ) -> None:
        self._images = dict(images)
        self._by_reference = {reference: each for each in self for reference in each.references}
        self.runtime = runtime
        self.registry = registry
        self.secrets = secrets
        self.recipe_key = recipe_key
        self._pillar_keys = dict(pillar_keys or {})

    def __iter__(self) -> Iterator[Base | Service]:
        return iter(self._images.values())

    def __getitem__(self, name: str) -> Base | Service:
        try:
            return self._images[name]
        except KeyError:
            raise UnknownImage(name, self._images) from None

    def find(self, name: str) -> Base | Service | None:
        """The image of that name or, as Docker's users know it, of that repository."""
        by_repository = {image.repository: image for image in reversed(list(self))}
        return self._images.get(name) or by_repository.get(name)

    @property
    def bases(self) -> tuple[Base, ...]:
        return tuple(image for image in self if isinstance(image, Base))

    @property
    def edges(self) -> dict[str, list[str]]:
        """Every image's name, to the name of what it is built from, if that is in here."""
        return {
            image.name: [parent.name] if (parent := self.parent_of(image)) else [] for image in self
        }

    def parent_of(self, image: Base | Service) -> Base | Service | None:
        """The image of the catalogue that ``image`` is built from, if it is one."""
        if not isinstance(image, Service):
            return None
        return self._images.get(image.base) or self._by_reference.get(_tagged(image.base))

    def problems_of(self, image: Base | Service) -> list[Problem]:
        """What is wrong with the names that a build of ``image`` makes, among all of these."""
        others = [other for other in self if other.name != image.name]
        return _problems_of_names([image, *others], self.registry, only=image)

    def pillar_keys(self, service: Service) -> frozenset[str] | None:
        """The keys of the minion's pillar that its states see, ``None`` for all."""
        if not self._pillar_keys.keys() >= set(service.mods):
            return None
        return frozenset(key for mod in service.mods for key in self._pillar_keys[mod])

    def shared_beginnings(self, service: Service) -> list[tuple[str, ...]]:
        """
        The beginnings of its ``mods`` that another service on the same parent has, too,
        the shortest first: where the two go on differently, or one of them ends.
        """
        if not service.share:
            return []
        lengths = {
            _common(service.mods, other.mods)
            for other in self
            if isinstance(other, Service)
            and other.name != service.name
            and other.share
            and all(getattr(other, key) == getattr(service, key) for key in _SHAPING)
        }
        return [service.mods[:length] for length in sorted(lengths) if length]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``{"bases": {name: …}, "services": {name: …}}``, defaults filled in."""
        plain: dict[str, Any] = {"bases": {}, "services": {}}
        for image in self:
            section = "bases" if isinstance(image, Base) else "services"
            plain[section][image.name] = image.model_dump(mode="json", exclude=_IDENTITY)
        return plain


# What has to be the same in two services for the same states to do the same.
_SHAPING = ("base", "saltenv", "pillar", "build", "network_mode", "extra_filerefs")
# What an image gets from its place in the catalogue, not from its declaration.
_IDENTITY = {"name", "path"}
_MODELS: dict[str, type[Base] | type[Service]] = {"bases": Base, "services": Service}


def parse(data: object) -> Catalogue:
    """
    Validate the value of the key ``ubiq``.

    data
        ``{"defaults": …, "bases": {name: …}, "services": {name: …}}``, or
        ``None`` for an empty catalogue

    Raises :class:`~salt_ubiq.errors.CatalogueError` with all mistakes.
    """
    if data is None:
        return Catalogue({}, Runtime())
    if not isinstance(data, Mapping):
        raise CatalogueError([Problem(KEY, "write a mapping with the keys bases and services")])
    if broken := list(_broken_texts(data, KEY)):
        raise CatalogueError(broken)
    problems = _unknown_keys(
        data,
        ("runtime", "registry", "pillar_keys", "secrets", "recipe_key", "defaults", *_MODELS),
        KEY,
    )
    runtime = _runtime(data.get("runtime"), problems)
    registry = _registry(data.get("registry"), problems)
    pillar_keys = _pillar_keys(_section(data, "pillar_keys", problems), problems)
    secrets = _secrets(data.get("secrets"), problems)
    recipe_key = _recipe_key(data.get("recipe_key"), problems)
    defaults = _section(data, "defaults", problems)
    usable = {key for model in _MODELS.values() for key in model.model_fields} - _IDENTITY
    problems += _unknown_keys(defaults, usable, f"{KEY}:defaults")

    images: dict[str, Base | Service] = {}
    declared: dict[str, _Outline] = {}
    for section, model in _MODELS.items():
        for name, body in _section(data, section, problems).items():
            path = f"{KEY}:{section}:{name}"
            if not isinstance(body, Mapping):
                problems.append(Problem(path, f"write a mapping, not {_kind(body)}"))
                continue
            if name in declared:
                problems.append(Problem(path, f"the name is taken by {declared[name].path}"))
                continue
            body = _with_defaults(body, defaults, model)
            problems += _unknown_keys(
                _IDENTITY & set(body), set(model.model_fields) - _IDENTITY, path
            )
            declared[name] = _outline(path, section, body)
            try:
                images[name] = model.model_validate({**body, "name": name, "path": path})
            except ValidationError as exc:
                problems += _translate(exc, path, model)
    problems += _problems_between(declared)
    problems += _problems_of_names(list(images.values()), registry)
    if problems:
        raise CatalogueError(problems)
    return Catalogue(images, runtime, pillar_keys, registry, secrets, recipe_key)


def ad_hoc(repository: str, **declaration: Any) -> Service:
    """
    A service that no catalogue declares, from the arguments of one call.

    Raises :class:`~salt_ubiq.errors.CatalogueError`, its paths being arguments' names.
    """
    try:
        return Service.model_validate(
            {"name": repository, "path": "", "repository": repository, **declaration}
        )
    except ValidationError as exc:
        raise CatalogueError(_translate(exc, "", Service), f"the build of {repository}") from None


def changed(service: Service, **declaration: Any) -> Service:
    """A service of the catalogue with some of its keys given otherwise."""
    return ad_hoc(**{**service.model_dump(exclude_unset=True), **declaration})


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``under``, mappings merged key by key."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[key] = value
    return result


def _runtime(declared: Any, problems: list[Problem]) -> Runtime | None:
    if declared is False:
        return None
    try:
        return Runtime.model_validate({} if declared in (None, True) else declared)
    except ValidationError as exc:
        problems += _translate(exc, f"{KEY}:runtime", Runtime)
        return None


def _registry(declared: Any, problems: list[Problem]) -> str | None:
    if declared is None or (isinstance(declared, str) and _PREFIX.fullmatch(declared)):
        return declared
    message = "write a registry's host, with port and path if need be: registry.example.org/team"
    problems.append(Problem(f"{KEY}:registry", message))
    return None


def _pillar_keys(
    declared: Mapping[str, Any], problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    keys = {}
    for mod, names in declared.items():
        try:
            keys[mod] = _NAMES.validate_python(names)
        except ValidationError as exc:
            problems += _translate(exc, f"{KEY}:pillar_keys:{mod}", Service)
    return keys


def _secrets(declared: Any, problems: list[Problem]) -> tuple[str, ...]:
    try:
        paths = _NAMES.validate_python([] if declared is None else declared)
    except ValidationError as exc:
        problems += _translate(exc, f"{KEY}:secrets", Service)
        return ()
    for number, path in enumerate(paths):
        if not all(path.split(":")):
            message = f"'{path}' is not a path into pillar: write app:dsn, with : between keys"
            problems.append(Problem(f"{KEY}:secrets:{number}", message))
    return paths


def _recipe_key(declared: Any, problems: list[Problem]) -> str | None:
    if declared is None or (isinstance(declared, str) and len(declared) >= _SHORTEST_KEY):
        return declared
    message = (
        f"write a text of at least {_SHORTEST_KEY} letters that nobody can guess, such as "
        "`openssl rand -hex 32` prints"
    )
    problems.append(Problem(f"{KEY}:recipe_key", message))
    return None


def _broken_texts(value: object, path: str) -> Iterator[Problem]:
    """What no text can have: halves of characters, of which nothing else can be made."""
    if isinstance(value, str) and not _is_whole(value):
        yield Problem(path, "has half a character (a lone surrogate)")
    if isinstance(value, Mapping):
        for key, below in value.items():
            place = f"{path}:{str(key).encode(errors='backslashreplace').decode()}"
            yield from _broken_texts(below, place)
            if isinstance(key, str) and not _is_whole(key):
                yield Problem(place, "the key has half a character (a lone surrogate)")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _broken_texts(item, f"{path}:{number}")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _section(data: Mapping[str, Any], key: str, problems: list[Problem]) -> Mapping[str, Any]:
    section = data.get(key)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        problems.append(Problem(f"{KEY}:{key}", "write a mapping of names to declarations"))
        return {}
    return {str(name): body for name, body in section.items()}


def _unknown_keys(found: Iterable[str], known: Iterable[str], path: str) -> list[Problem]:
    return [
        Problem(f"{path}:{key}", _unknown_key(str(key), known)) for key in found if key not in known
    ]


def _unknown_key(key: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return f"unknown key{near_matches(key, known) or '; known are ' + ', '.join(known)}"


def _with_defaults(
    body: Mapping[str, Any], defaults: Mapping[str, Any], model: type[BaseModel]
) -> dict[str, Any]:
    """The declaration with those defaults under it that its kind of image has."""
    return merged(
        {key: value for key, value in defaults.items() if key in model.model_fields}, body
    )


def _translate(exc: ValidationError, path: str, model: type[BaseModel]) -> list[Problem]:
    """pydantic's errors in the words of whoever writes the pillar."""
    problems = []
    errors = exc.errors(include_url=False)
    places = [error["loc"] for error in errors]
    for error in errors:
        where = tuple(each for each in error["loc"] if each != "[key]")
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "too_short":
            if any(place[: len(where)] == where and place != where for place in places):
                continue  # it is short of items that have errors of their own
            message = "must not be empty"
        elif error["type"] == "missing":
            message = "missing, this key is required"
        elif error["type"] == "extra_forbidden":
            owners = [key for key in where[:-1] if isinstance(key, str)]
            fields = _NESTED[owners[-1]] if owners else model
            message = _unknown_key(str(where[-1]), set(fields.model_fields) - _IDENTITY)
        elif error["type"] == "literal_error":
            message = f"write {error['ctx']['expected'].lower().replace(chr(39), '')}"
        elif error["type"] in _LIMITS:
            bound, limit = _LIMITS[error["type"]]
            message = f"write a number {bound} {error['ctx'][limit]:g}"
        elif error["type"] in _WANTED:
            message = f"write {_WANTED[error['type']]}, not {_kind(error['input'])}"
        problems.append(Problem(":".join(filter(None, [path, *map(str, where)])), message))
    return problems


_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("from", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("up to", "le"),
}
_WANTED = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def _kind(value: object) -> str:
    """What a YAML writer calls it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        str: "text",
        bytes: "binary data",
        Mapping: "a mapping",
        list: "a list",
        int: "a number",
        float: "a number",
    }
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "this")


_NESTED: dict[str, type[BaseModel]] = {
    "config": ImageConfig,
    "healthcheck": Healthcheck,
    "bootstrap": Bootstrap,
    "verify": Check,
    "http": HttpAnswer,
}


class _Outline(NamedTuple):
    """What one image says of its place among the others, even if the rest is wrong."""

    path: str
    base: str | None
    references: tuple[str, ...]


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many of the first items are the same."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def _outline(path: str, section: str, body: Mapping[str, Any]) -> _Outline:
    base = body.get("base") if section == "services" else None
    repository, tags = body.get("repository"), _listed(body.get("tags", "latest"))
    references: tuple[str, ...] = ()
    if isinstance(repository, str) and isinstance(tags, list):
        references = tuple(f"{repository}:{tag}" for tag in tags)
    return _Outline(path, base if isinstance(base, str) else None, references)


def _problems_between(declared: Mapping[str, _Outline]) -> list[Problem]:
    """What no image can know of itself: names, parents, and who else has its tags."""
    problems = []
    owners: dict[str, str] = {}
    for name, outline in declared.items():
        if not NAME.fullmatch(name):
            message = "a name has lower-case letters, digits, . _ and -, the first no sign"
            problems.append(Problem(outline.path, message))
        elif len(name) > _LONGEST_NAME:
            message = f"a name has at most {_LONGEST_NAME} letters"
            problems.append(Problem(outline.path, message))
        elif str(yamlify_arg(name)) != name:
            message = "another value on Salt's command line: take a name that YAML reads as text"
            problems.append(Problem(outline.path, message))
        if outline.base and outline.base not in declared:
            message = not_a_reference(outline.base, declared)
            if message:
                problems.append(Problem(f"{outline.path}:base", message))
        for reference in outline.references:
            owner = owners.setdefault(reference, name)
            if owner != name:
                problems.append(Problem(outline.path, f"{reference} is also {owner}'s"))
    edges = {
        name: [
            outline.base
            if outline.base in declared
            else owners.get(_tagged(outline.base), outline.base)
        ]
        for name, outline in declared.items()
        if outline.base
    }
    cycle = graph.cycle(edges)
    if cycle:
        message = f"built from itself: {' -> '.join(cycle)}"
        problems.append(Problem(f"{declared[cycle[0]].path}:base", message))
    return problems


def _problems_of_names(
    images: Sequence[Base | Service], registry: str | None, only: Base | Service | None = None
) -> list[Problem]:
    """What builds and pushes would name, and another image has as its name."""
    tags = {reference: image for image in images for reference in image.references}
    kept: dict[str, Base | Service] = {}
    problems = []
    for image in images:
        made = list(image.made_names.items())
        if registry:
            # It has such a name while it is pushed.
            bare = (each for each in image.references if not _HOSTED.match(each))
            made += [("repository", f"{registry}/{reference}") for reference in bare]
        for key, reference in made:
            owner = tags.get(reference)
            if owner is None and key == "keep_failed":
                owner = kept.setdefault(reference, image)
                owner = None if owner is image else owner
            if owner is not None and (only is None or only is image or only is owner):
                place = Problem(image.where(key), _MADE[key].format(reference, owner.name))
                problems.append(place)
    return problems


_HOSTED = re.compile(rf"{_HOST}/")
_MADE = {
    "keep_failed": "{} is what a build that fails is kept as, and also {}'s",
    "bootstrap:image": "{} would be made from packages, and is also {}'s",
    "repository": "{} is its name in the registry, and also {}'s",
}


def _tagged(reference: str) -> str:
    """``name`` as Docker reads it: ``name:latest``."""
    bare = ":" not in reference.rpartition("/")[2]
    return f"{reference}:latest" if bare else reference


def not_a_reference(base: str, names: Iterable[str]) -> str:
    """Say what is wrong with a ``base`` that no image has as its name, or ``""``."""
    if not any(sign in base for sign in ":/@"):
        return (
            f"no image '{base}' in the catalogue{near_matches(base, names)}; "
            f"an image from outside is written with its tag ({base}:latest)"
        )
    if not _REFERENCE.fullmatch(base):
        return f"'{base}' is not an image reference such as debian:12"
    return ""

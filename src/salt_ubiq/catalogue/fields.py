"""
The values that keys of the catalogue have: what each accepts, and what is wrong with the rest.
"""

from __future__ import annotations

import inspect
import re
import signal
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeAlias

import docker
import docker.types
from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BeforeValidator, Field
from saltext.dockermod.utils.dockermod.translate.container import ALIASES

from salt_ubiq.catalogue.references import LONGEST_REPOSITORY, OUR_HOST, REPOSITORY, TAG
from salt_ubiq.errors import brief, joined, near_matches

MOST_RETRIES = 1000
_LONGEST = 365 * 24 * 3600  # seconds

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


def _text(value: object) -> object:
    """YAML reads ``12`` as a number where a person means text."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("has a NUL character, which no text of Docker's may have")
    if isinstance(value, float):
        raise ValueError(f"{value} is a number in YAML, which drops digits: write it in quotes")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def listed(value: object) -> object:
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
    if len(value) > LONGEST_REPOSITORY:
        raise ValueError(f"Docker refuses a repository of more than {LONGEST_REPOSITORY} letters")
    if value.partition("/")[0] == OUR_HOST:
        raise ValueError(f"{OUR_HOST} is where builds keep images of their own: take another host")
    if not REPOSITORY.fullmatch(value):
        raise ValueError(
            f"Docker refuses '{brief(value)}' as a repository: lower-case letters, digits and "
            "single . _ - between them, parts separated by /, no tag"
        )
    return value


def _tag(value: str) -> str:
    if not TAG.fullmatch(value):
        raise ValueError(
            f"Docker refuses '{brief(value)}' as a tag: letters, digits, _ . -, at most 128, "
            "not starting with . or -"
        )
    return value


def _port(value: str) -> str:
    match = re.fullmatch(r"(\d+)(?:/(tcp|udp|sctp))?", value)
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError(f"'{brief(value)}' is not a port: write 80, 80/tcp or 53/udp")
    return f"{match[1]}/{match[2] or 'tcp'}"


def _salt_url(value: str) -> str:
    if not value.startswith("salt://"):
        raise ValueError(f"'{brief(value)}' is not a salt:// URL")
    return value


def context(value: str) -> str:
    if not value.startswith(("salt://", "/")):
        raise ValueError(f"'{brief(value)}' is neither a salt:// URL nor an absolute directory")
    return value


def url_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"'{brief(value)}' is not the path of a URL: it starts with /")
    return value


def _absolute(value: str) -> str:
    if not PurePosixPath(value).is_absolute():
        raise ValueError(f"'{brief(value)}' is not an absolute path")
    return value


def below_root(value: str) -> str:
    if not PurePosixPath(value).name:
        raise ValueError("/ itself can't be a volume")
    return value


def _variable(value: str) -> str:
    if "=" in value:
        raise ValueError("the name of a variable has no =")
    return value


def known_signal(value: str) -> str:
    name = value.upper().removeprefix("SIG")
    if not (name in _SIGNALS or (name.isdecimal() and 0 < int(name) <= signal.SIGRTMAX)):
        raise ValueError(f"'{brief(value)}' is not a signal: write one as SIGTERM, or its number")
    return value


def _one_or_more(value: object) -> object:
    """A comma is part of a requirement: ``mako>=1,<2``."""
    return [value] if isinstance(value, str) else value


def _python_package(value: str) -> str:
    try:
        url = Requirement(value).url
    except InvalidRequirement:
        raise ValueError(
            f"'{value}' is not a Python package as pip takes it: mako, or pymysql==1.1"
        ) from None
    if url:  # it may have a password, and what is there may change
        raise ValueError("write a package by its name and version, as pip's index has it: no URL")
    return value


def build_arguments(value: dict[str, Any]) -> dict[str, Any]:
    taken = sorted(_RESERVED & value.keys())
    if taken:
        raise ValueError(f"{joined(taken)}: set by the build itself, remove it")
    if "env" in value:
        raise ValueError("env: write environment, a mapping, which is given to the states")
    if not isinstance(value.get("environment", {}), Mapping):
        raise ValueError("environment: write a mapping of names to values")
    for key in value:
        if key not in _BUILD_ARGUMENTS:
            raise ValueError(f"{brief(key)}: {_unknown_argument(key)}")
    return value


def _unknown_argument(key: str) -> str:
    matches = near_matches(key, _BUILD_ARGUMENTS - _RESERVED)
    return f"docker.create has no such argument{matches}"


Text: TypeAlias = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
Repository: TypeAlias = Annotated[Text, AfterValidator(_repository)]
Tag: TypeAlias = Annotated[Text, AfterValidator(_tag)]
Names: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(listed)]
PythonPackages: TypeAlias = Annotated[
    tuple[Annotated[Text, AfterValidator(_python_package)], ...], BeforeValidator(_one_or_more)
]
SaltUrls: TypeAlias = Annotated[
    tuple[Annotated[Text, AfterValidator(_salt_url)], ...], BeforeValidator(listed)
]
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

"""
Logins to registries, found where Salt's ``docker.login`` finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from salt_ubiq.errors import RegistryError, brief
from salt_ubiq.registry.names import host_in

KEY = "docker-registries"
"""Where they are in pillar and config."""

FROM_ENVIRONMENT = ""
"""The key of the environment's login, which is for the registry that is pushed to."""

VARIABLES = ("DOCKER_USERNAME", "DOCKER_PASSWORD")


@dataclass(frozen=True)
class Login:
    """A login to a registry; ``source`` says where it is from."""

    username: str
    password: str = field(repr=False)
    email: str = ""
    source: str = KEY


def credentials(
    pillar: Mapping[str, Any], opts: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Login]:
    """
    Return the logins by registry, found as Salt's ``docker.login`` finds them.

    They are in the key ``docker-registries`` of pillar and config, and in all keys that
    end in ``-docker-registries``, which win; config wins over pillar. The environment's,
    ``DOCKER_USERNAME`` and ``DOCKER_PASSWORD``, is under :data:`FROM_ENVIRONMENT`.

    Raises :class:`~salt_ubiq.errors.RegistryError` where one is incomplete.
    """
    declared = [
        (key, source[key])
        for source in (pillar, opts)
        for key in source
        if key == KEY or str(key).endswith(f"-{KEY}")
    ]
    declared.sort(key=lambda pair: pair[0] != KEY)
    logins: dict[str, Login] = {}
    for key, registries in declared:
        if not isinstance(registries, Mapping):
            raise RegistryError(f"{brief(key)}: write a mapping from registries to their logins")
        for registry, login in registries.items():
            logins[host_in(str(registry))] = _login_of(f"{brief(key)}:{brief(registry)}", login)
    username, password = (environ.get(variable, "") for variable in VARIABLES)
    if username and password:
        logins[FROM_ENVIRONMENT] = Login(username, password, source=" and ".join(VARIABLES))
    return logins


def _login_of(path: str, declared: Any) -> Login:
    if not isinstance(declared, Mapping):
        raise RegistryError(f"{path}: write a mapping with username and password")
    missing = [key for key in ("username", "password") if not declared.get(key)]
    if missing:
        raise RegistryError(f"{path}: {' and '.join(missing)} missing")
    username, password, email = (
        str(declared.get(k) or "") for k in ("username", "password", "email")
    )
    return Login(username, password, email, path)

"""
A service: ``docker.sls_build``, prepared, watched and finished.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import salt.utils.thin
from packaging.specifiers import SpecifierSet

from salt_ubiq import finish
from salt_ubiq.catalogue import Service, merged
from salt_ubiq.container import BuildClient
from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import BuildError, StatesFailed, near_matches
from salt_ubiq.report import States
from salt_ubiq.site import Site
from salt_ubiq.staterun import StateRun
from salt_ubiq.workspace import Workspace

log = logging.getLogger(__name__)

# A random one would make grains, and with them images, differ from build to build.
_HOSTNAME = "ubiq-build"
# Where docker.call looks for Python.
_PYTHONS = ("python3", "/usr/libexec/platform-python")


def build(service: Service, parent: ImageInfo, site: Site, workspace: Workspace) -> States:
    """
    Build ``service`` on ``parent`` and leave the image under the slot's private reference.

    Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image.
    """
    config = finish.image_config(service.config, parent.config, site.labels)
    arguments = dict(service.build)
    states = StateRun(site.clean, site.log_line)
    client = BuildClient(
        site.engine.arguments,
        name=site.slot.name,
        image_config=config,
        entrypoint=bool(parent.config.get("Entrypoint")) or not config.get("Cmd"),
        environment=arguments.pop("environment", {}),
        timeout=service.timeout,
        observe=states.observe,
    )
    residue = finish.Residue(client)
    states.before_states = residue.salt_has_run
    client.before_commit = residue.remove

    functions = site.functions(**{"docker.client": client})
    functions.pack["__salt__"].update(client.container_resource())
    _check_mods(service, functions["cp.list_states"](service.saltenv))
    _check_python(service, parent, site)
    _provide_thin(workspace, site)

    log.info("%s: applying %s to %s", service.name, ", ".join(service.mods), service.base)
    repository, _, tag = site.slot.reference.rpartition(":")
    try:
        functions["docker.sls_build"](
            repository,
            tag=tag,
            base=parent.id,
            mods=",".join(service.mods),
            hostname=_HOSTNAME,
            labels=dict(site.labels),
            stop_timeout=0,  # `sleep infinity` ignores SIGTERM as PID 1
            **_optional(service, site.pillar),
            **arguments,
        )
    except Exception as exc:
        if client.timed_out:
            raise BuildError(f"{service.name}: not done after {service.timeout:g} s") from exc
        text = f"{service.name}: {states.explain() or site.clean(_last_line(exc))}"
        if states.states.failed:
            raise StatesFailed(text, states.states.failed) from exc
        raise BuildError(text) from exc
    return states.states


def _optional(service: Service, pillar: Mapping[str, Any]) -> dict[str, Any]:
    """
    Arguments of ``docker.sls_build`` that are given only where they say something.

    It lays ``pillar`` over the minion's key by key without merging what is below,
    so what is below is merged here.
    """
    override = {
        key: merged({key: pillar[key]}, {key: value})[key] if key in pillar else value
        for key, value in service.pillar.items()
    }
    arguments = {
        "saltenv": service.saltenv if service.saltenv != "base" else None,
        "pillar": override,
        "extra_filerefs": ",".join(service.extra_filerefs),
        "network_mode": service.network_mode,
    }
    return {key: value for key, value in arguments.items() if value}


def _check_mods(service: Service, available: Iterable[str]) -> None:
    known = set(available)
    missing = [mod for mod in service.mods if not fnmatch.filter(known, mod)]
    if missing:
        raise BuildError(
            "\n".join(
                f"{service.where('mods')}: no SLS '{mod}' in saltenv {service.saltenv}"
                f"{near_matches(mod, known)}"
                for mod in missing
            )
        )


def _check_python(service: Service, parent: ImageInfo, site: Site) -> None:
    """Salt runs in the container with the image's own Python: see that there is one for it."""
    needed = SpecifierSet(importlib.metadata.metadata("salt")["Requires-Python"])
    for python in _PYTHONS:
        code = "import platform; print(platform.python_version())"
        status, printed = site.engine.run(parent.id, [python, "-c", code], site.slot.name)
        if status == 127:
            continue
        if status == 0 and needed.contains(printed, prereleases=True):
            return
        found = f"Python {printed}" if status == 0 else f"a {python} that does not run: {printed}"
        raise BuildError(
            f"{service.where('base')}: {service.base} has {found}, and the Salt of this host "
            f"needs Python {needed}: take a newer base"
        )
    raise BuildError(
        f"{service.where('base')}: {service.base} has no Python, which Salt needs in the "
        "container: take a base with python3"
    )


def _provide_thin(workspace: Workspace, site: Site) -> None:
    """
    Put Salt's "thin" tarball into the slot's cache, where ``docker.call`` looks for it.

    All slots share one: making it takes seconds, and two that made it at once would collide.
    """
    shared = workspace.path / "thin"
    with workspace.lock("thin"):
        salt.utils.thin.gen_thin(
            str(workspace.path),
            extra_mods=site.opts.get("thin_extra_mods", ""),
            so_mods=site.opts.get("thin_so_mods", ""),
        )
    link = site.slot.cachedir / "thin"
    if not link.is_symlink():
        link.symlink_to(shared)


def _last_line(exc: Exception) -> str:
    lines = [line for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__

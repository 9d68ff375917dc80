"""
The pillar of a build: the minion's, with the parent's grains, and the service's
own merged over it.

``docker.sls_build`` compiles pillar three times and lays a given one over it in
some of them only. So it gets one that is compiled already: a pillar root of the
build's slot, readable by its owner alone and removed with the build.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import salt.pillar

from salt_ubiq.catalogue.models import KEY, Service
from salt_ubiq.catalogue.parse import merged
from salt_ubiq.errors import BuildError
from salt_ubiq.workspace.slots import Slot


def of_minion(grains: Mapping[str, Any], opts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Compile the minion's pillar with those grains; the catalogue is not in it.

    Raises :class:`~salt_ubiq.errors.BuildError` where it does not render.
    """
    # Salt 3008 lays what it compiles over what is in opts already: another minion's, here.
    alone = {**opts, "pillar": {}}
    source = salt.pillar.get_pillar(
        alone, dict(grains), opts["id"], pillarenv=opts.get("pillarenv")
    )
    pillar = source.compile_pillar()
    if errors := pillar.pop("_errors", None):
        raise BuildError("pillar does not render:\n" + "\n".join(errors))
    return {key: as_text(value) for key, value in pillar.items() if key != KEY}


def as_text(value: Any) -> Any:
    """
    A value of pillar as JSON has it, in which states get it: files of ``file_tree`` are bytes,
    dates of YAML are no text either. What is not UTF-8 is left as it is.
    """
    if isinstance(value, Mapping):
        return {as_text(key): as_text(below) for key, below in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_text(item) for item in value]
    if isinstance(value, date):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def of_masterless_minion(opts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Compile the pillar of a minion that never connects (``master_type: disable``): Salt itself
    compiles a daemon's pillar once it is connected.
    """
    alone = {**opts, "pillar": {}, "file_client": "local"}
    source = salt.pillar.get_pillar(
        alone, dict(opts["grains"]), opts["id"], pillarenv=opts.get("pillarenv")
    )
    compiled: dict[str, Any] = source.compile_pillar()
    return compiled


def of_service(
    service: Service, minions: Mapping[str, Any], keys: Collection[str] | None
) -> dict[str, Any]:
    """
    Return the pillar that the states of ``service`` see.

    keys
        of the minion's pillar that they see, ``None`` for all

    Raises :class:`~salt_ubiq.errors.BuildError` where something of it is neither text nor number.
    """
    seen = {key: value for key, value in minions.items() if keys is None or key in keys}
    pillar = merged(seen, as_text(service.pillar))
    for place in _binary(pillar, ()):
        raise BuildError(
            f"{service.name}: pillar {place} is binary, and can't get into a build: name what its "
            f"modules read in {KEY}:pillar_keys, or keep it in a file of the file server"
        )
    return pillar


def _binary(value: Any, place: tuple[Any, ...]) -> Iterator[str]:
    if isinstance(value, bytes):
        yield ":".join(map(str, place))
    items = enumerate(value) if isinstance(value, list) else ()
    for key, below in value.items() if isinstance(value, Mapping) else items:
        yield from _binary(below, (*place, key))


@contextmanager
def root(pillar: Mapping[str, Any], slot: Slot) -> Iterator[dict[str, Any]]:
    """Keep ``pillar`` in the slot for a while; yield the opts with which Salt has no other."""
    slot.pillar.mkdir(mode=0o700)
    try:
        _write(slot, "top.sls", {"base": {"*": ["build"]}})
        _write(slot, "build.sls", pillar)
        yield {
            "pillar": {},
            "pillar_roots": {"base": [str(slot.pillar)]},
            "pillarenv": None,
            "pillarenv_from_saltenv": False,
            "pillar_cache": False,
            "minion_data_cache": False,
            "ext_pillar": [],
            "master_type": "disable",  # a minion's pillar comes from here, its files do not
        }
    finally:
        shutil.rmtree(slot.pillar, ignore_errors=True)


def _write(slot: Slot, name: str, data: Mapping[str, Any]) -> None:
    descriptor = os.open(slot.pillar / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write("#!json\n" + json.dumps(data))

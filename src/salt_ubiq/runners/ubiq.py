"""
See and order image builds from the master's side.

:depends: the Python package salt-ubiq
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import salt.client
import salt.config
import salt.utils.event
from salt.exceptions import CommandExecutionError
from salt.exceptions import NotImplemented as ShownWithoutTraceback

if TYPE_CHECKING:
    from salt_ubiq.runs.plan import Request
    from salt_ubiq.runs.run import Outcome

    __opts__: dict[str, Any]
    __context__: dict[str, Any]

__virtualname__ = "ubiq"

log = logging.getLogger(__name__)


def __virtual__() -> str | tuple[bool, str]:
    if importlib.util.find_spec("salt_ubiq"):
        return __virtualname__
    return False, "ubiq needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def __init__(opts: Mapping[str, Any]) -> None:
    """
    Make the directory into which salt-run writes before it calls any function: where no
    master's daemon has run, nobody has made it.
    """
    with contextlib.suppress(OSError):  # salt-run says that it is not there
        pathlib.Path(opts["cachedir"], "proc").mkdir(mode=0o700, parents=True, exist_ok=True)


def catalogue() -> Any:
    """
    Return the validated catalogue that builds on this machine use, as
    :py:func:`ubiq_docker.catalogue <salt_ubiq.modules.ubiq_docker.catalogue>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.catalogue
    """
    return _here("ubiq_docker.catalogue")


def plan(*names: str, force: bool = False, refresh: bool = False, **kwargs: Any) -> Any:
    """
    Say what would be built on this machine, in order, and why, as
    :py:func:`ubiq_docker.plan <salt_ubiq.modules.ubiq_docker.plan>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.plan +moodle-web
    """
    _no_others(kwargs)
    return _here("ubiq_docker.plan", *names, force=force, refresh=refresh)


def status(*names: str) -> Any:
    """
    Return what this machine's engine has of the images, as
    :py:func:`ubiq_docker.status <salt_ubiq.modules.ubiq_docker.status>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.status
    """
    return _here("ubiq_docker.status", *names)


def runs(run: str | None = None, limit: int = 10) -> Any:
    """
    Return the latest runs, the latest first, or one of them whole: those that built on this
    machine and those that :py:func:`build_all` ordered from minions.

    run
        The name of a run, to return its results.

    limit
        How many to list.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.runs
        salt-run ubiq.runs 20261123T175145Z-c86522
    """
    return _here("ubiq_docker.runs", run, limit=limit)


def graph(fmt: str = "text") -> str:
    """
    Draw what is built from what.

    fmt
        ``text`` for a tree, ``dot`` for Graphviz, or ``mermaid``.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.graph
        salt-run ubiq.graph fmt=mermaid
    """
    from salt_ubiq.catalogue.drawing import drawn
    from salt_ubiq.catalogue.parse import parse

    try:
        return drawn(parse(_here("ubiq_docker.catalogue")).edges, fmt)
    except ValueError as exc:
        raise ShownWithoutTraceback(str(exc)) from None


def build(
    name: str,
    tgt: Any = None,
    tgt_type: str = "glob",
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
) -> dict[str, Any]:
    """
    Build one image of the catalogue, as :py:func:`build_all` builds many.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.build moodle-web
    """
    return build_all(name, tgt=tgt, tgt_type=tgt_type, force=force, refresh=refresh, push=push)


def build_all(
    *names: str,
    tgt: Any = None,
    tgt_type: str = "glob",
    jobs: int | None = None,
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """
    Build all images of the catalogue, or those that are named, in order: on
    this machine, without any daemon, or as jobs on minions.

    Returns ``images``, the results by name as
    :py:func:`ubiq_docker.build_all <salt_ubiq.modules.ubiq_docker.build_all>`
    has them, and ``retcode``, with which salt-run exits; ``--out=ubiq`` shows
    them as a table.

    names
        As of ``ubiq_docker.build_all``.

    tgt, tgt_type
        The minions that build; default is ``ubiq_builders`` of the master's
        config, and this machine where there is none. The catalogue is that of
        the minions' pillar. An image is built where its parent was.

    jobs
        How many to build at once; default is the number of CPUs.

    force
        Build the images that are named, or all, even if they are up to date.

    refresh
        Build anew also those under which something has moved, as
        :py:func:`ubiq_docker.outdated <salt_ubiq.modules.ubiq_docker.outdated>` tells.

    push
        Push the images that are named, or all, even if the catalogue does not say so.

    CLI Example:

    .. code-block:: bash

        salt-run --out=ubiq ubiq.build_all
        salt-run ubiq.build_all 'moodle-*' tgt='builder*' jobs=8
    """
    _no_others(kwargs)
    tgt = tgt or __opts__.get("ubiq_builders")
    if tgt:
        from salt_ubiq.runs.plan import Request

        request = Request(names, force, refresh, push)
        outcome = _on_minions(tgt, tgt_type, request, jobs)
        results, retcode = outcome.to_dict(), outcome.status
    else:
        caller = _caller()
        how = {"jobs": jobs, "force": force, "refresh": refresh, "push": push}
        results = _call(caller, "ubiq_docker.build_all", *names, **how)
        retcode = caller.sminion.functions.pack["__context__"].get("retcode", 0)
    __context__["retcode"] = retcode
    return {"images": results, "retcode": retcode}


def hook(data: Any) -> dict[str, Any]:
    """
    Carry out what a webhook orders: build images as :py:func:`build_all` does, on the
    minions of ``ubiq_builders`` or on this machine, and return what it returns.

    An order that is not valid is refused, with a line in the log, and starts nothing.

    data
        What was sent: ``{"images": [name, …]}``, the names of images of the catalogue,
        and optionally ``push``, ``refresh`` and ``force``, each ``true`` or ``false``, as
        of :py:func:`build_all`. Nothing else.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.hook '{"images": ["moodle-web"], "push": true}'
    """
    from salt_ubiq.catalogue import webhook
    from salt_ubiq.errors import UbiqError

    try:
        try:
            ordered = webhook.parse(data)
        except UbiqError as exc:
            raise ShownWithoutTraceback(str(exc)) from None
        return build_all(
            *ordered.images, push=ordered.push, refresh=ordered.refresh, force=ordered.force
        )
    except ShownWithoutTraceback as exc:
        log.error("the order of a webhook is refused: %s", exc)
        raise


def _on_minions(tgt: Any, tgt_type: str, request: Request, jobs: int | None) -> Outcome:
    from salt_ubiq.errors import UbiqError
    from salt_ubiq.runs import on_minions
    from salt_ubiq.runs.progress import told
    from salt_ubiq.runs.records import Runs, new_run_id
    from salt_ubiq.runs.run import Run
    from salt_ubiq.workspace.slots import root

    client = salt.client.get_local_client(mopts=dict(__opts__), skip_perm_errors=True)
    records = Runs(root(__opts__["cachedir"]) / "runs")
    with (
        told(),
        salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus,
    ):

        def fire(tag: str, data: Mapping[str, Any]) -> None:
            bus.fire_event(data, tag)

        try:
            target = on_minions.Target(tgt, tgt_type)
            this = Run(new_run_id(), records, fire)
            return on_minions.build_all(client, target, request, jobs, this)
        except UbiqError as exc:
            raise ShownWithoutTraceback(str(exc)) from None


def _no_others(kwargs: Mapping[str, Any]) -> None:
    """Salt 3006 lets nothing through that comes after ``*names``, unless all is let through."""
    unknown = [key for key in kwargs if not key.startswith("__")]
    if unknown:
        raise ShownWithoutTraceback(f"no argument {', '.join(unknown)}")


def _here(function: str, *args: Any, **kwargs: Any) -> Any:
    return _call(_caller(), function, *args, **kwargs)


def _caller() -> Any:
    """What calls execution functions on this machine; no daemon is needed, master or minion."""
    opts = salt.config.mminion_config(__opts__["conf_file"], {**__opts__, "file_client": "local"})
    return salt.client.Caller(mopts=opts)


def _call(caller: Any, function: str, *args: Any, **kwargs: Any) -> Any:
    """A failure becomes the one exception that salt-run shows without its traceback."""
    try:
        return caller.cmd(function, *args, **kwargs)
    except CommandExecutionError as exc:
        raise ShownWithoutTraceback(str(exc)) from None

"""
See and order image builds from the master's side.

:depends: the Python package salt-ubiq
"""

import contextlib
import importlib.util
import logging
import pathlib

import salt.client
import salt.config
import salt.utils.event
from salt.exceptions import CommandExecutionError
from salt.exceptions import NotImplemented as ShownWithoutTraceback

__virtualname__ = "ubiq"

log = logging.getLogger(__name__)


def __virtual__():
    if importlib.util.find_spec("salt_ubiq"):
        return __virtualname__
    return False, "ubiq needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def __init__(opts):
    """
    Make the directory into which salt-run writes before it calls any function: where no
    master's daemon has run, nobody has made it.
    """
    with contextlib.suppress(OSError):  # salt-run says that it is not there
        pathlib.Path(opts["cachedir"], "proc").mkdir(mode=0o700, parents=True, exist_ok=True)


def catalogue():
    """
    Return the validated catalogue that builds on this machine use, as
    :py:func:`ubiq_docker.catalogue <salt_ubiq.modules.ubiq_docker.catalogue>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.catalogue
    """
    return _here("ubiq_docker.catalogue")


def plan(*names, force=False, refresh=False):
    """
    Say what would be built on this machine, in order, and why, as
    :py:func:`ubiq_docker.plan <salt_ubiq.modules.ubiq_docker.plan>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.plan +moodle-web
    """
    return _here("ubiq_docker.plan", *names, force=force, refresh=refresh)


def status(*names):
    """
    Return what this machine's engine has of the images, as
    :py:func:`ubiq_docker.status <salt_ubiq.modules.ubiq_docker.status>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.status
    """
    return _here("ubiq_docker.status", *names)


def runs(run=None, limit=10):
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


def graph(fmt="text"):
    """
    Draw what is built from what.

    fmt
        ``text`` for a tree, ``dot`` for Graphviz, or ``mermaid``.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.graph
        salt-run ubiq.graph fmt=mermaid
    """
    from salt_ubiq.catalogue import parse
    from salt_ubiq.graph import drawn

    try:
        return drawn(parse(_here("ubiq_docker.catalogue")).edges, fmt)
    except ValueError as exc:
        raise ShownWithoutTraceback(str(exc)) from None


def build(name, tgt=None, tgt_type="glob", force=False, refresh=False, push=False):
    """
    Build one image of the catalogue, as :py:func:`build_all` builds many.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.build moodle-web
    """
    return build_all(name, tgt=tgt, tgt_type=tgt_type, force=force, refresh=refresh, push=push)


def build_all(*names, tgt=None, tgt_type="glob", jobs=None, force=False, refresh=False, push=False):
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
    tgt = tgt or __opts__.get("ubiq_builders")
    if tgt:
        results, retcode = _on_minions(names, tgt, tgt_type, jobs, force, refresh, push)
    else:
        caller = _caller()
        results = _call(
            caller,
            "ubiq_docker.build_all",
            *names,
            jobs=jobs,
            force=force,
            refresh=refresh,
            push=push,
        )
        retcode = caller.sminion.functions.pack["__context__"].get("retcode", 0)
    __context__["retcode"] = retcode
    return {"images": results, "retcode": retcode}


def hook(data):
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
    from salt_ubiq import order
    from salt_ubiq.errors import UbiqError

    try:
        try:
            ordered = order.parse(data)
        except UbiqError as exc:
            raise ShownWithoutTraceback(str(exc)) from None
        return build_all(
            *ordered.images, push=ordered.push, refresh=ordered.refresh, force=ordered.force
        )
    except ShownWithoutTraceback as exc:
        log.error("the order of a webhook is refused: %s", exc)
        raise


def _on_minions(names, tgt, tgt_type, jobs, force, refresh, push):
    from salt_ubiq import farm
    from salt_ubiq.errors import UbiqError
    from salt_ubiq.progress import told

    client = salt.client.get_local_client(mopts=dict(__opts__), skip_perm_errors=True)
    with (
        told(),
        salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=False) as bus,
    ):

        def fire(tag, data):
            bus.fire_event(data, tag)

        try:
            return farm.build_all(
                client, names, tgt, tgt_type, jobs, force, refresh, push, _runs(), fire
            )
        except UbiqError as exc:
            raise ShownWithoutTraceback(str(exc)) from None


def _runs():
    from salt_ubiq.runs import Runs
    from salt_ubiq.workspace import root

    return Runs(root(__opts__["cachedir"]) / "runs")


def _here(function, *args, **kwargs):
    return _call(_caller(), function, *args, **kwargs)


def _caller():
    """What calls execution functions on this machine; no daemon is needed, master or minion."""
    opts = salt.config.mminion_config(__opts__["conf_file"], {**__opts__, "file_client": "local"})
    return salt.client.Caller(mopts=opts)


def _call(caller, function, *args, **kwargs):
    """A failure becomes the one exception that salt-run shows without its traceback."""
    try:
        return caller.cmd(function, *args, **kwargs)
    except CommandExecutionError as exc:
        raise ShownWithoutTraceback(str(exc)) from None

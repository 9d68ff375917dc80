"""
See and order image builds from the master's side.

:depends: the Python package salt-ubiq
"""

import importlib.util

import salt.client
import salt.config
from salt.exceptions import CommandExecutionError
from salt.exceptions import NotImplemented as ShownWithoutTraceback

__virtualname__ = "ubiq"


def __virtual__():
    if importlib.util.find_spec("salt_ubiq"):
        return __virtualname__
    return False, "ubiq needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def catalogue():
    """
    Return the validated catalogue that builds on this machine use, as
    :py:func:`ubiq_docker.catalogue <salt_ubiq.modules.ubiq_docker.catalogue>` does.

    CLI Example:

    .. code-block:: bash

        salt-run ubiq.catalogue
    """
    return _here("ubiq_docker.catalogue")


def _here(function, *args, **kwargs):
    """
    Call an execution function on this machine; no daemon is needed, master or minion.

    A failure becomes the one exception that salt-run shows without its traceback.
    """
    opts = salt.config.mminion_config(__opts__["conf_file"], {**__opts__, "file_client": "local"})
    try:
        return salt.client.Caller(mopts=opts).cmd(function, *args, **kwargs)
    except CommandExecutionError as exc:
        raise ShownWithoutTraceback(str(exc)) from None

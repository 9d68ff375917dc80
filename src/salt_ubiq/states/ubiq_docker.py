"""
Keep Docker images built from Salt states.

:depends: the Python package salt-ubiq; a Docker engine

.. code-block:: yaml

    debian-python:
      ubiq_docker.base_built: []

    moodle-web:
      ubiq_docker.service_built:
        - require:
          - ubiq_docker: debian-python
"""

from salt.exceptions import CommandExecutionError

__virtualname__ = "ubiq_docker"


def __virtual__():
    if "ubiq_docker.build_service" in __salt__:
        return __virtualname__
    return False, "ubiq_docker needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def base_built(name):
    """
    Build a base of the catalogue. Docker's own build cache makes an unchanged one quick.

    name
        The base's name in the catalogue.
    """
    return _built(name, "ubiq_docker.build_base")


def service_built(name, **kwargs):
    """
    Build a service of the catalogue, or the one that the arguments describe.

    name
        The service's name in the catalogue or, with ``mods``, any repository.

    All further arguments are those of
    :py:func:`ubiq_docker.build_service <salt_ubiq.modules.ubiq_docker.build_service>`.
    """
    return _built(name, "ubiq_docker.build_service", **kwargs)


def _built(name, function, **kwargs):
    ret = {"name": name, "result": None, "changes": {}, "comment": f"{name} would be built"}
    if __opts__["test"]:
        return ret
    try:
        built = __salt__[function](name, **kwargs)
    except CommandExecutionError as exc:
        return {**ret, "result": False, "comment": str(exc)}
    ret |= {"result": True, "comment": f"{built['image']} is built"}
    if built["id"] != built["old_id"]:
        ret["changes"] = {built["image"]: {"old": built["old_id"], "new": built["id"]}}
    return ret

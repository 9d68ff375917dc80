"""
Keep Docker images built from Salt states, up to date, pushed, and built on a schedule.

:depends: the Python package salt-ubiq; a Docker engine

.. code-block:: yaml

    debian-python:
      ubiq_docker.base_built: []

    moodle-web:
      ubiq_docker.service_built:
        - require:
          - ubiq_docker: debian-python

    registry.example.org:
      ubiq_docker.pushed:
        - images: [moodle-web]
        - onchanges:
          - ubiq_docker: moodle-web

With ``test=True`` each says what it would do, and why, and does nothing. An image that
watches another state, or listens to it, is built anew when that has changed something.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from salt.exceptions import CommandExecutionError, SaltInvocationError

if TYPE_CHECKING:
    __salt__: dict[str, Callable[..., Any]]
    __states__: dict[str, Callable[..., dict[str, Any]]]
    __opts__: dict[str, Any]

__virtualname__ = "ubiq_docker"


def __virtual__() -> str | tuple[bool, str]:
    if "ubiq_docker.build_service" in __salt__:
        return __virtualname__
    return False, "ubiq_docker needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def base_built(
    name: str, force: bool = False, refresh: bool = False, push: bool = False
) -> dict[str, Any]:
    """
    Have a base of the catalogue built, and up to date.

    name
        The base's name in the catalogue.

    force
        Build it even if it is up to date.

    refresh
        Build it anew if something has moved under it, see
        :py:func:`ubiq_docker.outdated <salt_ubiq.modules.ubiq_docker.outdated>`.

    push
        Push it even if the catalogue does not say so.
    """
    return _built(name, "ubiq_docker.build_base", force=force, refresh=refresh, push=push)


def service_built(name: str, **kwargs: Any) -> dict[str, Any]:
    """
    Have a service of the catalogue, or the one that the arguments describe, built,
    and up to date; before it, what it is built from.

    name
        The service's name in the catalogue or, with ``mods``, any repository.

    All further arguments are those of
    :py:func:`ubiq_docker.build_service <salt_ubiq.modules.ubiq_docker.build_service>`.
    """
    return _built(name, "ubiq_docker.build_service", **kwargs)


def all_built(
    name: str,
    images: Iterable[str] = (),
    jobs: int | None = None,
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
) -> dict[str, Any]:
    """
    Have all images of the catalogue built, and up to date, or some of them and what
    they are built from, as many at once as there are slots.

    name
        Any text.

    images
        As the names of
        :py:func:`ubiq_docker.build_all <salt_ubiq.modules.ubiq_docker.build_all>`:
        names, globs, ``name+`` for a name and all that is built from it.

    jobs, force, refresh, push
        As of ``ubiq_docker.build_all``.
    """
    ret = _ret(name)
    names = _listed(images)
    if __opts__["test"]:
        plan = functools.partial(__salt__["ubiq_docker.plan"], *names, force=force, refresh=refresh)
        return _attempted(ret, lambda: _planned(ret, plan()))

    def build() -> dict[str, Any]:
        results = __salt__["ubiq_docker.build_all"](
            *names, jobs=jobs, force=force, refresh=refresh, push=push
        ).values()
        declared = __salt__["ubiq_docker.catalogue"]()
        images = {**declared["bases"], **declared["services"]}
        failed = any(
            result["action"] == "failed" and not images[result["name"]]["allowed_to_fail"]
            for result in results
        )
        return {
            **ret,
            "result": not failed,
            "changes": _changes(results),
            "comment": _comments(results),
        }

    return _attempted(ret, build)


def pushed(name: str, images: Iterable[str] = ()) -> dict[str, Any]:
    """
    Have images in their registry, as they are on the engine, with all their tags.

    name
        A name of the catalogue; any text, where ``images`` is given.

    images
        Names or globs of the catalogue, in place of the name.
    """
    ret = _ret(name)
    names = _listed(images) or [name]

    def push() -> dict[str, Any]:
        results = __salt__["ubiq_docker.push"](*names, test=__opts__["test"])
        changes = {
            reference: {"old": pushed["old"], "new": pushed["digest"]}
            for reference, pushed in results.items()
            if pushed["pushed"]
        }
        verb = "would be pushed" if __opts__["test"] else "pushed"
        comment = f"{', '.join(changes)} {verb}" if changes else "the registry has them"
        result = None if __opts__["test"] and changes else True
        return {**ret, "result": result, "changes": changes, "comment": comment}

    return _attempted(ret, push)


def scheduled(
    name: str,
    images: Iterable[str] = (),
    jobs: int | None = None,
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """
    Have the minion build images on a schedule, one run at a time.

    .. code-block:: yaml

        images every night:
          ubiq_docker.scheduled:
            - images: ['moodle-*']
            - refresh: true
            - cron: '0 4 * * *'
            - returner: local_cache

    name
        What the job is called in the minion's schedule.

    images, jobs, force, refresh, push
        As of :py:func:`ubiq_docker.build_all <salt_ubiq.modules.ubiq_docker.build_all>`.

    All further arguments are those of :py:func:`schedule.present
    <salt.states.schedule.present>`: when (``minutes``, ``cron``, ``when``, …), and what
    comes of the return (``returner``, ``return_job``, …).
    """
    given = {"jobs": jobs, "force": force, "refresh": refresh, "push": push}
    ret = __states__["schedule.present"](
        name=name,
        function="ubiq_docker.build_all",
        job_args=_listed(images),
        job_kwargs={key: value for key, value in given.items() if value},
        **{"maxrunning": 1, **kwargs},
    )
    if __opts__["test"] and ret["result"] and ret["changes"]:
        ret["result"] = None  # Salt says True
    return ret


def absent(name: str) -> dict[str, Any]:
    """
    Have no tag of an image of the catalogue on the engine.

    name
        The image's name in the catalogue.
    """
    ret = _ret(name)

    def remove() -> dict[str, Any]:
        gone = __salt__["ubiq_docker.remove"](name, test=__opts__["test"])
        verb = "would be removed" if __opts__["test"] else "removed"
        return {
            **ret,
            "result": None if __opts__["test"] and gone else True,
            "changes": {reference: {"old": gone[reference], "new": None} for reference in gone},
            "comment": f"{', '.join(gone)} {verb}" if gone else "there is none",
        }

    return _attempted(ret, remove)


def mod_watch(name: str, sfun: str, **kwargs: Any) -> dict[str, Any]:
    """
    Build anew because what a state watches has changed, even if nothing that the image
    is known to depend on has. Salt calls this where the state itself changed nothing.

    sfun
        The state function; its arguments follow.
    """
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    if sfun in _BUILDING:
        return _BUILDING[sfun](name, **{**given, "force": True})
    others: dict[str, Callable[..., dict[str, Any]]] = {
        "pushed": pushed,
        "scheduled": scheduled,
        "absent": absent,
    }
    return others[sfun](name, **given)


_BUILDING: dict[str, Callable[..., dict[str, Any]]] = {
    "base_built": base_built,
    "service_built": service_built,
    "all_built": all_built,
}


def _built(name: str, function: str, **kwargs: Any) -> dict[str, Any]:
    ret = _ret(name)

    def build() -> dict[str, Any]:
        if __opts__["test"]:
            return _planned(ret, [__salt__["ubiq_docker.outlook"](name, **kwargs)])
        result = __salt__[function](name, **kwargs)
        return {
            **ret,
            "result": True,
            "changes": _changes([result]),
            "comment": _comments([result]),
        }

    return _attempted(ret, build)


def _ret(name: str) -> dict[str, Any]:
    return {"name": name, "result": None, "changes": {}, "comment": ""}


def _attempted(ret: dict[str, Any], action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the action returns; an error of it as a state says it."""
    try:
        done = action()
    except (CommandExecutionError, SaltInvocationError) as exc:
        done = {**ret, "result": False, "comment": str(exc)}
    if done["result"] is False:
        done["skip_watch"] = True  # else Salt tries at once what has just failed
    return done


def _planned(ret: dict[str, Any], steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a state returns in test mode."""
    due = [step for step in steps if step["reasons"]]
    if not due:
        return {**ret, "result": True, "comment": "up to date"}
    comment = "\n".join(f"{step['image']} would be built: {_why(step)}" for step in due)
    changes = {step["image"]: {"reasons": list(step["reasons"])} for step in due}
    return {**ret, "comment": comment, "changes": changes}


def _changes(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        result["image"]: {
            "old": result["old_id"],
            "new": result["id"],
            "reasons": list(result["reasons"]),
        }
        for result in results
        if result["action"] == "built" and result["id"] != result["old_id"]
    }


def _comments(results: Iterable[Mapping[str, Any]]) -> str:
    lines = []
    for result in results:
        if result["action"] == "up-to-date":
            lines.append(f"{result['image']} is up to date")
        elif result["action"] == "built":
            lines.append(f"{result['image']} is built: {_why(result)}")
        else:
            lines.append(f"{result['name']}: {result['action']}: {result['error']}")
        lines += result["warnings"]
    return "\n".join(lines)


def _why(step: Mapping[str, Any]) -> str:
    return "; ".join(step["reasons"])


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

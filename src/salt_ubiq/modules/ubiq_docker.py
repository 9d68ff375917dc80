"""
Build Docker images from Salt states.

Images are declared in the *catalogue*, the key ``ubiq`` in pillar or, without
that, in the minion config. A *base* is built from a Dockerfile, a *service* by
applying SLS modules to a base, to another service or to any other image.

:depends: the Python packages salt-ubiq, saltext.dockermod and docker; a Docker engine
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager as _contextmanager
from typing import TYPE_CHECKING, Any

from salt.exceptions import CommandExecutionError, SaltInvocationError

try:
    from salt_ubiq.api import Api as _Api
    from salt_ubiq.errors import UbiqError as _UbiqError
    from salt_ubiq.errors import UsageError as _UsageError
    from salt_ubiq.errors import brief as _brief
    from salt_ubiq.host import Host as _Host
    from salt_ubiq.runs.plan import Request as _Request

    HAS_UBIQ = True
except ImportError:
    HAS_UBIQ = False

if TYPE_CHECKING:
    __salt__: dict[str, Callable[..., Any]]
    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: MutableMapping[str, Any]

__virtualname__ = "ubiq_docker"
__outputter__ = {"build_all": "ubiq"}


def __virtual__() -> str | tuple[bool, str]:
    if HAS_UBIQ:
        return __virtualname__
    return False, "ubiq_docker needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def check() -> dict[str, Any]:
    """
    Say whether this host is ready to build images.

    Returns a dictionary: ``ready`` (bool), the versions of what is there
    (``engine``, ``salt``, ``docker_sdk``, ``dockermod``, ``salt_ubiq``, ``python``),
    ``images`` (how many the catalogue has), and ``problems``, a list of texts,
    each with what to do. The return code is 1 where there are problems.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.check
    """
    host = _host()
    report = _Api(host).check()
    if report["problems"]:
        host.exit_with(1)
    return report


def catalogue() -> dict[str, Any]:
    """
    Return the validated catalogue, defaults filled in:
    ``{"bases": {name: …}, "services": {name: …}}``. Secrets are hidden.

    Raises ``CommandExecutionError`` with all mistakes, each with its path.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.catalogue
    """
    with _salt_errors():
        return _Api(_host()).catalogue()


def build_base(
    name: str, force: bool = False, refresh: bool = False, push: bool = False
) -> dict[str, Any]:
    """
    Build a base from its Dockerfile and point its tags to it, unless it is up to date.

    Where the base has a ``bootstrap`` and the engine lacks the Dockerfile's
    ``FROM``, that is made first, from Debian's packages.

    Returns the result of the build as a dictionary: ``name``, ``image``
    (``repository:tag``), ``action`` (``built`` or ``up-to-date``), ``id``,
    ``old_id`` (``None`` where there was no image), ``parent``, ``reasons`` (why it
    was built), ``states``, ``warnings``, ``duration`` (seconds), ``error`` and
    ``log`` (a path).

    Raises ``CommandExecutionError`` where it fails; then all tags are as they were.

    name
        The base's name in the catalogue.

    force
        Build it even if it is up to date; the engine's own build cache is used
        nevertheless.

    refresh
        Build it, and anew, if something has moved under it (:py:func:`outdated`).

    push
        Push it even if the catalogue does not say so.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.build_base debian-python
    """
    with _salt_errors():
        request = _Request(force=force, refresh=refresh, push=push)
        return _Api(_host()).build_base(_name(name), request).to_dict()


def build_service(
    name: str,
    mods: Any = None,
    base: Any = None,
    tag: Any = None,
    extra_filerefs: Any = None,
    pillar: dict[str, Any] | None = None,
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """
    Build a service with ``docker.sls_build`` and point its tags to it, unless it is
    up to date; before it, those it is built from that are not.

    Returns the result of the build as :py:func:`build_base` does; ``states`` is
    ``{"total": int, "changed": int, "failed": [{"id": …, "sls": …, "comment": …}]}``.

    Raises ``CommandExecutionError`` where it fails; then all tags are as they were.

    name
        A name or repository of the catalogue or, with ``mods``, any repository.

    mods
        The SLS modules to apply, as a list or comma-separated. Like the
        arguments that follow, it stands in for what the catalogue says.

    base
        What to build from: a name of the catalogue or an image reference.
        Without it, and without a catalogue entry, the catalogue's only base.

    tag
        The image's tag, or several as a list or comma-separated.

    extra_filerefs
        ``salt://`` URLs of files that the states reach only through Jinja
        imports, as a list or comma-separated.

    pillar
        A dictionary, merged over the minion's pillar for this build.

    force
        Build it even if it is up to date.

    refresh
        Build it, and what it is built from, anew if something has moved under it
        (:py:func:`outdated`).

    push
        Push it even if the catalogue does not say so.

    saltenv, config, timeout, network_mode, verify, converged, keep_failed, …
        As in the catalogue. All further arguments go to ``docker.create`` for
        the build container alone.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.build_service moodle-web
        salt-call --local ubiq_docker.build_service ubiquitous/tools base=debian-python mods=admin
    """
    named = {
        "mods": mods,
        "base": base,
        "tag": tag,
        "extra_filerefs": extra_filerefs,
        "pillar": pillar,
    }
    given = _given({**named, **kwargs})
    with _salt_errors():
        request = _Request(force=force, refresh=refresh, push=push)
        return _Api(_host()).build_service(_name(name), given, request).to_dict()


def plan(
    *names: str, force: bool = False, refresh: bool = False, **kwargs: Any
) -> list[dict[str, Any]]:
    """
    Say what :py:func:`build_all` would build, in order, and why; build nothing.

    Returns a list of dictionaries: ``name``, ``image``, ``action`` (``build`` or
    ``up-to-date``), ``parents`` (those that would be built before it), ``reasons``,
    ``from`` (the state from which a build goes on, ``None`` where that is not known),
    ``problem`` (what will keep its states from compiling, ``None`` where none is known), and
    ``unseen``: of what is up to date, states such as ``cmd.run`` and ``pkg.latest`` that may
    do something else now, as no recipe can tell.

    names, force, refresh
        as of :py:func:`build_all`

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.plan +moodle-web
    """
    with _salt_errors():
        _no_others(kwargs)
        return _Api(_host()).plan(_Request(_names(names), force, refresh))


def build_all(
    *names: str,
    jobs: int | None = None,
    force: bool = False,
    refresh: bool = False,
    push: bool = False,
    **kwargs: Any,
) -> dict[str, dict[str, Any]]:
    """
    Build all images of the catalogue, or those that are named, and what they are
    built from, in order and as many at once as there are slots; what is up to date
    is not built.

    Returns the results by name, each as :py:func:`build_service` returns it,
    with the action ``built``, ``up-to-date``, ``failed`` or ``skipped``. The return code is 1
    if an image that is not ``allowed_to_fail`` was not built. A failure stops
    only what is built from the image.

    names
        Names or globs. ``+name`` means a name and all it is built from,
        ``name+`` a name and all that is built from it.

    jobs
        How many to build at once; default is the number of CPUs.

    force
        Build the images that are named, or all, even if they are up to date.

    refresh
        Build anew also those under which something has moved (:py:func:`outdated`).

    push
        Push the images that are named, or all, even if the catalogue does not say so.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.build_all
        salt-call --local ubiq_docker.build_all 'moodle-*' jobs=4
    """
    with _salt_errors():
        _no_others(kwargs)
        host, jobs = _host(), _slots(jobs)
        outcome = _Api(host).build_all(_Request(_names(names), force, refresh, push), jobs)
        host.exit_with(outcome.status)
        return outcome.to_dict()


def outlook(name: str, force: bool = False, refresh: bool = False, **kwargs: Any) -> dict[str, Any]:
    """
    Say whether and why :py:func:`build_base` or :py:func:`build_service` would build
    an image; build nothing. Returns a step as :py:func:`plan` does.

    The arguments are theirs.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.outlook moodle-web
    """
    with _salt_errors():
        request = _Request(force=force, refresh=refresh)
        return _Api(_host()).outlook(_name(name), _given(kwargs), request)


def remove(name: str, test: bool = False) -> dict[str, str]:
    """
    Remove the tags of an image of the catalogue from the engine, and the image if
    nothing else needs it.

    Returns the image's ID by tag for every tag that was there.

    name
        The image's name in the catalogue.

    test
        Only say what would be removed.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.remove moodle-web
    """
    with _salt_errors():
        return _Api(_host()).remove(_name(name), test)


def outdated(*names: str) -> dict[str, dict[str, Any]]:
    """
    Say what has moved under images though nothing of them was changed: newer packages
    for what is installed in them, another image where what they are FROM comes from.

    Returns by name ``{"outdated": bool, "packages": {name: {"installed": …,
    "available": …}}, "moved": [reference, …]}``. Packages count for the image that
    building anew would help: not those of its parent.

    names
        as of :py:func:`build_all`

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.outdated moodle-web
    """
    with _salt_errors():
        return _Api(_host()).outdated(_names(names))


def status(*names: str) -> dict[str, dict[str, Any]]:
    """
    Return what the engine has of the images of the catalogue, by name: ``image``,
    ``present``, ``fresh`` (whether it is what is declared), ``reasons`` (if not, why),
    ``id``, ``size`` (bytes), ``created`` and ``parent`` (a name or an image reference;
    ``None`` for a base).

    names
        as of :py:func:`build_all`

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.status
    """
    with _salt_errors():
        return _Api(_host()).status(_names(names))


def push(*names: str, test: bool = False, **kwargs: Any) -> dict[str, dict[str, Any]]:
    """
    See to it that images are in their registry, as they are on the engine, with all
    their tags; what the registry has is not sent again.

    Returns by the name in the registry ``{"digest": …, "pushed": bool, "old": …}``: the
    manifest's digest, whether it was not there, and what the name had before.

    The registry is ``ubiq:registry`` or the repository's own host. Logins are those of
    Salt's ``docker-registries`` in pillar or config, then ``DOCKER_USERNAME`` and
    ``DOCKER_PASSWORD`` of the environment, then those of ``docker login``.

    names
        as of :py:func:`build_all`

    test
        Only say what would be pushed; ``digest`` is ``None`` then.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.push moodle-web
    """
    with _salt_errors():
        _no_others(kwargs)
        return _Api(_host()).push(_names(names), test)


def verify(name: str) -> dict[str, Any]:
    """
    Verify an image as it is on the engine: carry out its checks, and see whether its
    states have converged.

    Returns ``{"name": …, "image": …, "verified": bool, "failures": […], "warnings": […]}``.
    The return code is 1 where something fails.

    name
        The image's name in the catalogue.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.verify moodle-web
    """
    with _salt_errors():
        host, name = _host(), _name(name)
        api = _Api(host)
        proof = api.verify(name)
        host.exit_with(int(bool(proof.failures)))
        return {
            "name": name,
            "image": api.images[name].reference,
            "verified": not proof.failures,
            "failures": list(proof.failures),
            "warnings": list(proof.warnings),
        }


def packages(name: str, fmt: str = "list", dest: str | None = None) -> Any:
    """
    Return the packages in an image, as Salt's ``pkg.list_pkgs`` finds them in a
    container of it, which is removed afterwards.

    Raises ``CommandExecutionError`` where the engine lacks the image, Salt
    knows no package manager in it, or the file can't be written.

    name
        A name or repository of the catalogue, or any image reference.

    fmt
        ``list``: a dictionary of versions by name. ``cyclonedx``: a software bill
        of materials (SBOM), the text of a CycloneDX 1.6 document in JSON, with a
        package URL for every Debian package.

    dest
        The absolute path of a file to write them to, the list as JSON; the path is what
        is returned then. What is there is replaced once all is written.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.packages moodle-web
        salt-call --local ubiq_docker.packages moodle-web fmt=cyclonedx dest=/srv/moodle-web.json
    """
    with _salt_errors():
        return _Api(_host()).packages(_name(name), fmt, dest)


def logs(name: str) -> str:
    """
    Return the log of an image's latest build on this host.

    name
        The image's name in the catalogue or, if it was built without, its repository.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.logs moodle-web
    """
    with _salt_errors():
        return _Api(_host()).log_of(_name(name))


def runs(run: str | None = None, limit: int = 10) -> list[dict[str, Any]] | dict[str, Any]:
    """
    Return the latest runs of :py:func:`build_all` on this host, the latest first,
    or one of them whole.

    run
        The name of a run, to return its results.

    limit
        How many to list.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.runs
    """
    with _salt_errors():
        api, limit = _Api(_host()), _from_one(limit, "limit: write how many runs")
        return api.run(str(run)) if run else api.runs(limit)


def prune(*kinds: str, days: float = 0, test: bool = False, **kwargs: Any) -> dict[str, list[str]]:
    """
    Remove from the engine what builds have left there, for later or by dying.

    Returns the names of what was removed, or would be, by kind. What is used stays,
    and what this package has not made on this host; while a build is at work, so do
    all images and shared layers.

    kinds
        ``leftovers``: containers and private tags of dead builds; ``images``: images
        built on this host that have lost their tags to newer ones; ``shared`` and
        ``checkpoints``: shared layers, and checkpoints, that no image is built on;
        ``runtimes``: the volumes of all Salt runtimes but the current one; ``caches``:
        the volumes with what package managers fetched for this host. Default are all
        but ``caches``.

    days
        Only what was made so many days ago; leftovers whatever their age.

    test
        Only say what would be removed.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.prune
        salt-call --local ubiq_docker.prune images shared days=7
        salt-call --local ubiq_docker.prune caches test=True
    """
    with _salt_errors():
        _no_others(kwargs)
        api, days = _Api(_host()), _days(days)
        return api.prune(kinds, days, test)


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a call says of a service, by the catalogue's keys."""
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    if "tag" in given:
        given["tags"] = given.pop("tag")
    return {key: value for key, value in given.items() if value is not None}


def _no_others(kwargs: dict[str, Any]) -> None:
    """Salt 3006 lets nothing through that comes after ``*names``, unless all is let through."""
    unknown = [key for key in kwargs if not key.startswith("__")]
    if unknown:
        raise SaltInvocationError(f"no argument {', '.join(map(_brief, unknown))}")


def _names(names: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(map(_name, names))


def _name(name: object) -> str:
    """Salt's command line makes numbers, true and null of what reads so."""
    if isinstance(name, str | int | float | None):
        return str(name)
    raise SaltInvocationError(f"{_brief(name)} is not the name of an image")


def _slots(jobs: object) -> int | None:
    if jobs is None:
        return None
    return _from_one(jobs, "jobs: write how many builds at once")


def _from_one(value: object, wanted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SaltInvocationError(f"{wanted}, from 1 on, not {_brief(value)}")
    return value


def _days(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise SaltInvocationError(f"days: write a number of days, not {_brief(value)}")
    return float(value)


def _host() -> _Host:
    """First of all in a function: another loader's dunders may be here soon."""
    return _Host.of(__salt__, __opts__, __pillar__, __context__)


@_contextmanager
def _salt_errors() -> Iterator[None]:
    try:
        yield
    except _UsageError as exc:
        raise SaltInvocationError(str(exc)) from None
    except _UbiqError as exc:
        raise CommandExecutionError(str(exc)) from None
    except OSError as exc:  # a full disk, a file that is another's
        place = f" {exc.filename}" if exc.filename else ""
        raise CommandExecutionError(f"this host can't write or read{place}: {exc}") from None

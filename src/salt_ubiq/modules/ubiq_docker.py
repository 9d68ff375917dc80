"""
Build Docker images from Salt states.

Images are declared in the *catalogue*, the key ``ubiq`` in pillar or, without
that, in the minion config. A *base* is built from a Dockerfile, a *service* by
applying SLS modules to a base, to another service or to any other image.

:depends: the Python packages salt-ubiq, saltext.dockermod and docker; a Docker engine
"""

import os
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial

from salt.exceptions import CommandExecutionError, SaltInvocationError

try:
    from salt_ubiq import conductor as _conductor
    from salt_ubiq import graph as _graph
    from salt_ubiq import packages as _packages
    from salt_ubiq import plan as _plan
    from salt_ubiq import prune as _prune
    from salt_ubiq import readiness as _readiness
    from salt_ubiq.errors import UbiqError as _UbiqError
    from salt_ubiq.files import read as _read
    from salt_ubiq.host import Host as _Host
    from salt_ubiq.progress import told as _told
    from salt_ubiq.workers.local import LocalExecutor as _LocalExecutor

    HAS_UBIQ = True
except ImportError:
    HAS_UBIQ = False

__virtualname__ = "ubiq_docker"
__outputter__ = {"build_all": "ubiq"}


def __virtual__():
    if HAS_UBIQ:
        return __virtualname__
    return False, "ubiq_docker needs the package salt-ubiq beside Salt: salt-pip install salt-ubiq"


def check():
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
    report = _readiness.check(host.functions, host.images)
    if report["problems"]:
        host.exit_with(1)
    return report


def catalogue():
    """
    Return the validated catalogue, defaults filled in:
    ``{"bases": {name: …}, "services": {name: …}}``. Secrets are hidden.

    Raises ``CommandExecutionError`` with all mistakes, each with its path.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.catalogue
    """
    with _salt_errors():
        return _host().catalogue()


def build_base(name, force=False, refresh=False, push=False):
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
        host = _host()
        images = host.images()
        base = images[_name(name)]
        if base not in images.bases:
            raise SaltInvocationError(f"'{name}' is a service: use ubiq_docker.build_service")
        return _build(host, images, base, force, refresh, push).to_dict()


def build_service(
    name,
    mods=None,
    base=None,
    tag=None,
    extra_filerefs=None,
    pillar=None,
    force=False,
    refresh=False,
    push=False,
    **kwargs,
):
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
        host = _host()
        images = host.images()
        service = _plan.service(images, _name(name), given)
        return _build(host, images, service, force, refresh, push).to_dict()


def plan(*names, force=False, refresh=False):
    """
    Say what :py:func:`build_all` would build, in order, and why; build nothing.

    Returns a list of dictionaries: ``name``, ``image``, ``action`` (``build`` or
    ``up-to-date``), ``parents`` (those that would be built before it) and ``reasons``.

    names, force, refresh
        as of :py:func:`build_all`

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.plan +moodle-web
    """
    with _salt_errors():
        host = _host()
        images = host.images()
        asked = [*map(_name, names)]
        steps = _steps(host, images, host.builder(images), asked, force, refresh)
        return [step.to_dict() for step in steps]


def build_all(*names, jobs=None, force=False, refresh=False, push=False):
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
    with _salt_errors(), _told():
        host, jobs = _host(), _slots(jobs)
        since = time.time() if refresh else None
        with host.runs.recording_failure():
            images = host.images()
            builder = host.builder(images)
            asked = [*map(_name, names)]
            steps = _steps(host, images, builder, asked, force, refresh, push)
        fresh = {step.image.name: builder.up_to_date(step.image) for step in steps if not step.due}
        due = {step.image.name: step for step in steps}

        def build(name):
            step = due[name]
            again = host.builder(images, builder.run)
            return again.attempt(images[name], step.forced, since, step.push)

        def executor(progress):
            return _LocalExecutor(jobs or os.cpu_count() or 1, build, progress.refresh)

        try:
            results, status = _conductor.conduct(
                steps, executor, jobs, host.runs, builder.run, host.fire, fresh
            )
        except (KeyboardInterrupt, SystemExit):
            builder.sites.remove_leftovers()
            raise CommandExecutionError(
                f"cancelled; see salt-run ubiq.runs, run {builder.run}"
            ) from None
        builder.sites.remove_leftovers()
        host.exit_with(status)
        return {name: result.to_dict() for name, result in results.items()}


def outlook(name, force=False, refresh=False, **kwargs):
    """
    Say whether and why :py:func:`build_base` or :py:func:`build_service` would build
    an image; build nothing. Returns a step as :py:func:`plan` does.

    The arguments are theirs.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.outlook moodle-web
    """
    with _salt_errors():
        host = _host()
        images = host.images()
        name = _name(name)
        image = images.find(name)
        if image not in images.bases:
            image = _plan.service(images, name, _given(kwargs))
        builder = host.builder(images)
        parent = images.parent_of(image)
        above = _steps(host, images, builder, [parent.name], False, refresh) if parent else []
        built = tuple(step.image.name for step in above[-1:] if step.reasons)
        why = [f"parent {name} is built" for name in built]
        why += _forced(host, images, image, force, refresh)
        return _plan.Step(image, built, tuple(why or builder.reasons(image))).to_dict()


def remove(name, test=False):
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
        host = _host()
        images, engine = host.images(), host.engine()
        found = {reference: engine.image(reference) for reference in images[_name(name)].references}
        there = {reference: image.id for reference, image in found.items() if image}
        for reference in () if test else there:
            if not engine.remove_image(reference):
                raise CommandExecutionError(f"{reference} is used by a container: it stays")
        return there


def outdated(*names):
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
        host = _host()
        images = host.images()
        lookout = host.lookout(images)
        found = _graph.select(images.edges, [*map(_name, names)])
        return {name: lookout.outdated(images[name]).to_dict() for name in found}


def status(*names):
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
        host = _host()
        images = host.images()
        builder = host.builder(images)
        return _plan.status(images, [*map(_name, names)], builder.engine, builder.reasons)


def push(*names, test=False):
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
        host = _host()
        images = host.images()
        registry = host.builder(images).registry
        result = {}
        for name in _graph.select(images.edges, [*map(_name, names)]):
            if test:
                missing = registry.missing(images[name])
                result |= {
                    reference: {"digest": None, "pushed": True, "old": old}
                    for reference, old in missing.items()
                }
            else:
                result |= {
                    each.reference: {"digest": each.digest, "pushed": each.pushed, "old": each.old}
                    for each in registry.push(images[name])
                }
        return result


def verify(name):
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
        host = _host()
        images = host.images()
        name = _name(name)
        image = images[name]
        proof = host.builder(images).verify(image)
        host.exit_with(int(bool(proof.failures)))
        return {
            "name": name,
            "image": image.reference,
            "verified": not proof.failures,
            "failures": list(proof.failures),
            "warnings": list(proof.warnings),
        }


def packages(name, fmt="list", dest=None):
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
    if fmt not in ("list", "cyclonedx"):
        raise SaltInvocationError(f"no format '{fmt}': there are list and cyclonedx")
    if dest is not None and not str(dest).startswith("/"):
        raise SaltInvocationError(f"dest has to be an absolute path: '{dest}' is not")
    with _salt_errors():
        host, name = _host(), _name(name)
        images = host.images()
        builder, declared = host.builder(images), images.find(name)
        reference = declared.reference if declared else name
        image = builder.engine.image(reference)
        if image is None:
            raise CommandExecutionError(f"{reference} is not on the engine: build or pull it first")
        with builder.salt_in(image, reference) as container:
            contents = _packages.read(container)
        if fmt == "list":
            found = contents.to_dict()
        else:
            found = _packages.sbom(contents, reference, image.id, datetime.now(timezone.utc))
        return found if dest is None else _packages.write(found, dest)


def logs(name):
    """
    Return the log of an image's latest build on this host.

    name
        The image's name in the catalogue or, if it was built without, its repository.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.logs moodle-web
    """
    with _salt_errors():
        text = _read(_host().workspace.log_of(_name(name)))
    if text is None:
        raise CommandExecutionError(f"no log of '{name}': it was not built on this host")
    return text


def runs(run=None, limit=10):
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
        records = _host().runs
        if run:
            return records.load(run).to_dict()
        return [each.summary() for each in records.list(limit)]


def prune(*kinds, days=0, test=False):
    """
    Remove from the engine what builds have left there, for later or by dying.

    Returns the names of what was removed, or would be, by kind. What is used stays,
    and what this package has not made on this host; while a build is at work, so do
    all images and shared layers.

    kinds
        ``leftovers``: containers and private tags of dead builds; ``images``: images
        built on this host that have lost their tags to newer ones; ``shared``: shared
        layers that no image is built on; ``runtimes``: the volumes of all Salt
        runtimes but the current one; ``caches``: the volumes with what package
        managers fetched for this host. Default are all but ``caches``.

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
    unknown = [kind for kind in kinds if kind not in _prune.KINDS]
    if unknown:
        raise SaltInvocationError(
            f"no kind {', '.join(unknown)} to prune: there are {', '.join(_prune.KINDS)}"
        )
    with _salt_errors():
        host = _host()
        builder = host.builder(host.images())
        return _prune.prune(builder, kinds or _prune.DEFAULT, float(days), test)


def _given(kwargs):
    """What a call says of a service, by the catalogue's keys."""
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    if "tag" in given:
        given["tags"] = given.pop("tag")
    return {key: value for key, value in given.items() if value is not None}


def _build(host, images, image, force, refresh, push):
    """Build an image, and before it what of its parents is not up to date."""
    since = time.time() if refresh else None
    builder = host.builder(images)
    with _told():
        forced = _forced(host, images, image, force, refresh)
        parent = images.parent_of(image)
        above = _steps(host, images, builder, [parent.name], False, refresh) if parent else ()
        builds = {
            step.image.name: partial(builder.build, step.image, step.forced, since)
            for step in above
            if step.reasons
        }
        builds[image.name] = partial(builder.build, image, forced, since, push)
        return _conductor.conduct_here(builds)


def _forced(host, images, image, force, refresh):
    moved = host.lookout(images).outdated(image).reasons if refresh else ()
    return (*((_plan.FORCED,) if force else ()), *moved)


def _steps(host, images, builder, names, force, refresh, push=False):
    forced = _plan.all_forced(images, names) if force else {}
    if refresh:
        forced = {**host.lookout(images).reasons(names), **forced}
    return _plan.steps(images, names, builder.reasons, forced, push)


def _name(name):
    """Salt's command line makes numbers, true and null of what reads so."""
    if isinstance(name, str | int | float | None):
        return str(name)
    raise SaltInvocationError(f"{name!r} is not the name of an image")


def _slots(jobs):
    if jobs is None:
        return None
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise SaltInvocationError(f"jobs: write how many builds at once, from 1 on, not {jobs!r}")
    return jobs


def _host():
    """First of all in a function: another loader's dunders may be here soon."""
    return _Host.of(__salt__, __opts__, __pillar__, __context__)


@contextmanager
def _salt_errors():
    try:
        yield
    except _UbiqError as exc:
        raise CommandExecutionError(str(exc)) from None
    except OSError as exc:  # a full disk, a file that is another's
        place = f" {exc.filename}" if exc.filename else ""
        raise CommandExecutionError(f"this host can't write or read{place}: {exc}") from None

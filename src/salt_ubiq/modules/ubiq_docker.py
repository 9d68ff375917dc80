"""
Build Docker images from Salt states.

Images are declared in the *catalogue*, the key ``ubiq`` in pillar or, without
that, in the minion config. A *base* is built from a Dockerfile, a *service* by
applying SLS modules to a base, to another service or to any other image.

:depends: the Python packages salt-ubiq, saltext.dockermod and docker; a Docker engine
"""

from contextlib import contextmanager

from salt.exceptions import CommandExecutionError, SaltInvocationError

try:
    from salt_ubiq import catalogue as _catalogue
    from salt_ubiq import plan as _plan
    from salt_ubiq import prune as _prune
    from salt_ubiq import readiness as _readiness
    from salt_ubiq.builder import Builder as _Builder
    from salt_ubiq.errors import UbiqError as _UbiqError

    HAS_UBIQ = True
except ImportError:
    HAS_UBIQ = False

__virtualname__ = "ubiq_docker"


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
    report = _readiness.check(__salt__, _declared())
    if report["problems"]:
        __context__["retcode"] = 1
    return report


def catalogue():
    """
    Return the validated catalogue, defaults filled in:
    ``{"bases": {name: …}, "services": {name: …}}``.

    Raises ``CommandExecutionError`` with all mistakes, each with its path.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.catalogue
    """
    with _salt_errors():
        return _catalogue.parse(_declared()).to_dict()


def build_base(name):
    """
    Build a base from its Dockerfile and point its tags to it.

    Where the base has a ``bootstrap`` and the engine lacks the Dockerfile's
    ``FROM``, that is made first, from Debian's packages.

    Returns the result of the build as a dictionary: ``name``, ``image``
    (``repository:tag``), ``action`` (``built``), ``id``, ``old_id`` (``None``
    where there was no image), ``parent``, ``reasons``, ``states``, ``duration``
    (seconds), ``error`` and ``log`` (a path).

    Raises ``CommandExecutionError`` where it fails; then all tags are as they were.

    name
        The base's name in the catalogue.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.build_base debian-python
    """
    with _salt_errors():
        images = _catalogue.parse(_declared())
        base = images[name]
        if base not in images.bases:
            raise SaltInvocationError(f"'{name}' is a service: use ubiq_docker.build_service")
        return _builder(images).build(base).to_dict()


def build_service(name, mods=None, base=None, tag=None, extra_filerefs=None, pillar=None, **kwargs):
    """
    Build a service with ``docker.sls_build`` and point its tags to it; before
    it, those it is built from that the engine lacks.

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

    saltenv, config, timeout, network_mode
        As in the catalogue. All further arguments go to ``docker.create`` for
        the build container alone.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.build_service moodle-web
        salt-call --local ubiq_docker.build_service ubiquitous/tools base=debian-python mods=admin
    """
    given = {
        "mods": mods,
        "base": base,
        "tags": tag,
        "extra_filerefs": extra_filerefs,
        "pillar": pillar,
        **{key: value for key, value in kwargs.items() if not key.startswith("__")},
    }
    given = {key: value for key, value in given.items() if value is not None}
    with _salt_errors():
        images = _catalogue.parse(_declared())
        service = _plan.service(images, name, given)
        builder = _builder(images)
        for parent in _plan.missing_parents(images, service, builder.engine):
            builder.build(parent)
        return builder.build(service).to_dict()


def prune(*kinds, test=False):
    """
    Remove from the engine what builds have left there, for later or by dying.

    Returns the names of what was removed, or would be, by kind. What a build is
    using stays.

    kinds
        ``leftovers``: containers and private tags of dead builds; ``runtimes``:
        the volumes of all Salt runtimes but the current one; ``caches``: the
        volumes with what package managers fetched for this host. Default are the first two.

    test
        Only say what would be removed.

    CLI Example:

    .. code-block:: bash

        salt-call --local ubiq_docker.prune
        salt-call --local ubiq_docker.prune caches test=True
    """
    unknown = [kind for kind in kinds if kind not in _prune.KINDS]
    if unknown:
        raise SaltInvocationError(
            f"no kind {', '.join(unknown)} to prune: there are {', '.join(_prune.KINDS)}"
        )
    with _salt_errors():
        builder = _builder(_catalogue.parse(_declared()))
        return _prune.prune(builder, kinds or ("leftovers", "runtimes"), test)


def _declared():
    return __pillar__.get(_catalogue.KEY) or __opts__.get(_catalogue.KEY)


def _builder(images):
    if __pillar__.get("_errors"):
        raise CommandExecutionError("pillar does not render:\n" + "\n".join(__pillar__["_errors"]))
    return _Builder(_readiness.connect(__salt__), images, __opts__, __pillar__)


@contextmanager
def _salt_errors():
    try:
        yield
    except _UbiqError as exc:
        raise CommandExecutionError(str(exc)) from None

"""
What states ask while they render: the image that they are for answers, not this host.

SLS files are rendered on this host. What of Salt's functions reads only Salt's own data, pillar,
config, grains, files of the tree, or wants this host's credentials, runs here; every other one
runs in a container of the parent, and what it answers is remembered.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import salt.loader
from salt.exceptions import CommandExecutionError
from salt.utils.args import yamlify_arg

from salt_ubiq.catalogue import references
from salt_ubiq.containers.salt_call import SaltContainer
from salt_ubiq.errors import CallFailed
from salt_ubiq.workspace.files import keep_of_images, private_directory, read, write
from salt_ubiq.workspace.slots import Workspace

HERE = frozenset(
    "config cp data defaults grains hashutil jinja log match mine pillar publish random saltutil "
    "sdb slsutil state test vault".split()
)
"""The modules whose functions run on this host."""

_MARK = "ubiq_questions"

Ask = Callable[[str, tuple[Any, ...], Mapping[str, Any]], Any]


class Answers:
    """
    The answers of one image, as this host knows them.

    salt
        which Salt, with which modules, gives them

    pillar
        what is pillar there: functions may read it, so that another one has other answers

    clean
        takes secrets out of a text: an answer with one is kept nowhere
    """

    def __init__(
        self,
        workspace: Workspace,
        image_id: str,
        salt: str,
        pillar: str = "{}",
        clean: Callable[[str], str] = str,
    ) -> None:
        self._path = _directory(workspace) / f"{references.digits(image_id)}-{salt}.json"
        self._pillar = hashlib.sha256(pillar.encode()).hexdigest()
        self._clean = clean
        self._secret: dict[str, Any] = {}

    def of(self, function: str, args: Any, kwargs: Any, ask: Callable[[], Any]) -> Any:
        """What a function returns there; ``ask`` for what is not known yet."""
        asked = json.dumps([function, args, kwargs, self._pillar], sort_keys=True, default=str)
        key = hashlib.sha256(asked.encode()).hexdigest()  # arguments may be of pillar
        known = {**self._known(), **self._secret}
        if key not in known:
            text = json.dumps(ask(), default=str)
            known[key] = json.loads(text)
            if self._clean(text) == text:
                write(self._path, json.dumps({**self._known(), key: known[key]}))
            else:
                self._secret[key] = known[key]
        return known[key]

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(read(self._path) or "{}")
        except ValueError:
            known = {}
        return known if isinstance(known, dict) else {}


def keep_answers(workspace: Workspace, image_ids: Collection[str]) -> None:
    """Forget those of all other images."""
    keep_of_images(_directory(workspace), image_ids)


def _directory(workspace: Workspace) -> Path:
    return private_directory(workspace.path / "answers")


class Functions:
    """
    Salt's functions as an SLS file gets them, in the place of ``__salt__``.

    functions
        this host's

    ask
        runs a function in a container of the image
    """

    def __init__(self, functions: Any, here: frozenset[str], ask: Ask) -> None:
        self._functions = functions
        self._here = here
        self._ask = ask

    def __getitem__(self, name: str) -> Any:
        module, _, function = name.partition(".")
        if module in self._here or not function:
            return self._functions[name]

        def asked(*args: Any, **kwargs: Any) -> Any:
            return self._ask(name, args, kwargs)

        return asked

    def __getattr__(self, module: str) -> Any:
        if module.startswith("__"):
            raise AttributeError(module)
        return _Module(self, module)

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping."""
        found = name in self
        return self[name] if found else default


class _Module:
    """What ``salt.file`` is in a template."""

    def __init__(self, functions: Functions, name: str) -> None:
        self._functions = functions
        self._name = name

    def __getattr__(self, function: str) -> Any:
        return self._functions[f"{self._name}.{function}"]


_asking: dict[str, tuple[frozenset[str], Ask]] = {}
_render = salt.loader.render


def _rendering(opts: Mapping[str, Any], functions: Any, *args: Any, **kwargs: Any) -> Any:
    asking = _asking.get(str(opts.get(_MARK)))
    if asking:
        functions = Functions(functions, *asking)
    return _render(opts, functions, *args, **kwargs)


@contextmanager
def answering(here: frozenset[str], ask: Ask) -> Iterator[dict[str, Any]]:
    """Yield opts of Salt with which states that are rendered ask the image."""
    salt.loader.render = _rendering  # does as before for whoever has no such opts
    token = uuid.uuid4().hex
    _asking[token] = (here, ask)
    try:
        yield {_MARK: token}
    finally:
        del _asking[token]


@contextmanager
def asking(answers: Answers, container: Callable[[], Any]) -> Iterator[Ask]:
    """
    Yield what asks the image.

    container
        makes a :class:`SaltContainer` of it, if one is needed
    """
    with ExitStack() as stack:
        made: list[SaltContainer] = []

        def ask(function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            def call() -> Any:
                if not made:
                    made.append(stack.enter_context(container()))
                given = {key: _as_argument(value) for key, value in kwargs.items()}
                try:
                    return made[0].call(function, *map(_as_argument, args), **given)
                except CallFailed as exc:
                    # Of that, Salt tells the line of the template; of others, a traceback.
                    raise CommandExecutionError(str(exc)) from None

            return answers.of(function, args, kwargs, call)

        yield ask


def _as_argument(value: Any) -> str:
    """How a value is written on Salt's command line, which reads YAML."""
    if isinstance(value, str) and yamlify_arg(value) == value:
        return value
    return json.dumps(value, default=str)

"""README and the pages of ``docs/``, as their readers take them: blocks, commands, links."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import salt.state

from salt_ubiq.catalogue.models import Service
from salt_ubiq.modules import ubiq_docker
from salt_ubiq.runners import ubiq
from salt_ubiq.states import ubiq_docker as states
from tests.support.repository import REPOSITORY

PAGES = ("README.md", *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")))

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_OURS: Mapping[tuple[str, str], Any] = {
    ("modules", "ubiq_docker"): ubiq_docker,
    ("runners", "ubiq"): ubiq,
    ("states", "ubiq_docker"): states,
}
_SALTS_FILES = {("states", "salt"): "saltmod"}
_COMMANDS = {"salt-call": "modules", "salt": "modules", "salt-run": "runners"}
_OPTIONS_WITH_A_VALUE = ("-l", "-c", "--config-dir")
_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What is between fences: ``place`` is the page and the line, ``before`` the line before."""

    place: str
    language: str
    text: str
    before: str

    @property
    def page(self) -> str:
        return self.place.partition(":")[0]


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text()


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text, found = text_of(page), []
    for match in _FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        indent = len(match[1])
        inside = "".join(each[indent:] or "\n" for each in match[3].splitlines(keepends=True))
        before = text[: match.start()].rstrip().rpartition("\n")[2]
        found.append(Block(f"{page}:{line}", match[2], inside, before))
    return found


def prose(page: str) -> str:
    """A page without its blocks."""
    return _FENCED.sub("", text_of(page))


def command_lines(shell: str) -> Iterator[list[str]]:
    """The words of each command of a block, but for what follows the first pipe or such."""
    for line in re.sub(r"\\\n|(?<=\|)\n", " ", shell).splitlines():
        words = _words(line)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words:
            yield words[1:] if words[0] == "sudo" else words


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            if words:
                break
        else:
            words.append(word)
    return words


def salt_commands_in_prose(page: str) -> Iterator[list[str]]:
    """Those between backticks; a beginning of ``…`` is that of the row's first."""
    for line in prose(page).splitlines():
        begun: list[str] = []
        for code in re.findall(r"`([^`]+)`", line):
            if code.startswith("… ") and begun:
                function = begun[2].partition(".")[0] if begun[1] == "--local" else None
                rest = code.removeprefix("… ").split(maxsplit=1)
                if function and "=" not in rest[0]:
                    yield [*begun[:2], f"{function}.{rest[0]}", *shlex.split("".join(rest[1:]))]
            elif code.split()[0] in _COMMANDS and re.search(r" \w+\.\w", code):
                begun = shlex.split(code.replace("\\|", "|"))
                yield begun


def mistake_in_salt_command(words: list[str]) -> str:
    """What is wrong with a command of Salt; nothing if it names a function and its arguments."""
    kind, arguments = _COMMANDS[words[0]], list[str]()
    rest = iter(words[1:])
    for word in rest:
        if word in _OPTIONS_WITH_A_VALUE:
            next(rest)
        elif not word.startswith("-") and word not in ("…", "RUN", "NAME"):
            arguments.append(word)
    if words[0] == "salt":
        arguments = arguments[1:]
    function, *arguments = arguments
    matches = {word: _KEYWORD.fullmatch(word) for word in arguments}
    keywords = {match[1]: match[2] for match in matches.values() if match}
    return mistake_in_call(
        kind, function, [word for word in arguments if not matches[word]], keywords
    )


def mistake_in_call(kind: str, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> str:
    """
    What is wrong with a call of a function of Salt's or ours.

    kind
        ``modules``, ``runners`` or ``states``
    """
    function = function_named(kind, name)
    if function is None:
        return f"there is no {name} among {kind}"
    if kind == "modules" and name == "ubiq_docker.build_service":
        known = {*Service.model_fields, *inspect.signature(function).parameters}
        if unknown := set(keywords) - known:
            return f"{name} takes no {', '.join(unknown)}"
    if kind == "states":
        keywords = {
            key: value
            for key, value in keywords.items()
            if key not in salt.state.STATE_INTERNAL_KEYWORDS
        }
    try:
        signature = inspect.signature(function)
        if any(signature.parameters.get(each) for each in ("names", "kinds")):
            # Those take others only to refuse them.
            named = [each for each in signature.parameters.values() if each.name != "kwargs"]
            signature = signature.replace(parameters=named)
        signature.bind(*arguments, **keywords)
    except TypeError as exc:
        return f"{name}: {exc}"
    return ""


def function_named(kind: str, name: str) -> Callable[..., Any] | None:
    """A function of our loader modules or of Salt's; ``None`` where there is none."""
    place, _, function = name.rpartition(".")
    module = _OURS.get((kind, place))
    if module is None:
        file = _SALTS_FILES.get((kind, place), place)
        try:
            module = importlib.import_module(f"salt.{kind}.{file}")
        except ImportError:
            return None
    return getattr(module, function, None) or getattr(module, f"{function}_", None)


def public_functions(module: Any) -> dict[str, Callable[..., Any]]:
    """What a loader module has for callers, by name."""
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    }

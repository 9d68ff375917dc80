"""
What a Dockerfile takes other images for, read as Docker reads it; no engine is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SCRATCH = "scratch"
_BYTE_ORDER_MARK = "\ufeff"
_DIRECTIVE = re.compile(r"#\s*(?P<name>[a-z][a-z0-9]*)\s*=\s*(?P<value>.+?)\s*", re.IGNORECASE)
_DIRECTIVES = ("syntax", "escape", "check")
_INSTRUCTION = re.compile(r"(?P<keyword>\S+)\s*(?P<rest>.*)", re.DOTALL)
_TAKE_HEREDOCS = ("RUN", "COPY", "ADD")
_HEREDOC = re.compile(r"\d*<<(?P<indented>-?)(?P<quote>[\"']?)(?P<end>[^<\"']+)(?P=quote)")
_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Origins:
    """
    stages
        what each stage is FROM in the end, ``None`` for scratch

    copied
        the images that files are copied from, by ``COPY --from``
    """

    stages: tuple[str | None, ...]
    copied: tuple[str, ...]

    @property
    def parent(self) -> str | None:
        """What the last stage, the image, is FROM; ``None`` for scratch."""
        return self.stages[-1] if self.stages else None

    @property
    def images(self) -> tuple[str, ...]:
        """All of them, each once, without the Dockerfile's own stages."""
        return tuple(dict.fromkeys(filter(None, (*self.stages, *self.copied))))


def read(text: str, buildargs: Mapping[str, str]) -> Origins:
    """
    Find the images that the Dockerfile with that text is made from.

    buildargs
        the values that ``docker build`` is given for its ARGs

    What Docker refuses is not told here, as its own message will say more.
    """
    escape = _escape(text)
    arguments: dict[str, str] = {}
    names: dict[str, str | None] = {}
    stages: list[str | None] = []
    copied: list[str] = []
    for keyword, rest in _instructions(text, escape):
        if keyword == "ARG" and not stages:  # those of a stage are not for FROM
            _declare(rest, arguments, buildargs, escape)
        elif keyword == "FROM":
            reference, name = _stage(rest)
            reference = expanded(reference, arguments, escape)
            found = names.get(reference.lower(), reference)
            stages.append(None if found == _SCRATCH else found)
            names |= {name.lower(): stages[-1]} if name else {}
        elif keyword == "COPY":
            source = _copied_from(rest)
            if source.lower() not in names and not source.isdigit():
                copied.append(source)
    return Origins(tuple(stages), tuple(filter(None, copied)))


def _escape(text: str) -> str:
    r"""The character that the directive ``escape`` sets, ``\`` without one."""
    for line in _lines(text):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None or directive["name"].lower() not in _DIRECTIVES:
            break
        if directive["name"].lower() == "escape":
            return directive["value"]
    return "\\"


def _lines(text: str) -> Iterator[str]:
    """Only at these ends: Python would split at others, too."""
    return (line.removesuffix("\r") for line in text.removeprefix(_BYTE_ORDER_MARK).split("\n"))


def _instructions(text: str, escape: str) -> Iterator[tuple[str, str]]:
    """Each instruction's keyword and what follows it, on one line, without heredocs."""
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
    lines = _lines(text)
    for line in lines:
        if _says_nothing(line):
            continue
        while continued.search(line):
            following = next((each for each in lines if not _says_nothing(each)), "")
            line = continued.sub("", line) + following
        instruction = _INSTRUCTION.match(line.lstrip())
        if instruction is None:
            continue  # nothing but the escape character
        keyword, rest = instruction["keyword"].upper(), instruction["rest"]
        for heredoc in _heredocs(keyword, rest, escape):
            _skip(heredoc, lines)
        yield keyword, rest


def _says_nothing(line: str) -> bool:
    """Empty lines and comments, which may be within an instruction."""
    return not line.strip() or line.lstrip().startswith("#")


def _heredocs(keyword: str, rest: str, escape: str) -> list[re.Match[str]]:
    if keyword == "ONBUILD":
        keyword, _, rest = rest.partition(" ")
    if keyword.upper() not in _TAKE_HEREDOCS:
        return []
    return [found for word in _words(rest, escape) if (found := _HEREDOC.fullmatch(word))]


def _skip(heredoc: re.Match[str], lines: Iterator[str]) -> None:
    for line in lines:
        if (line.lstrip("\t") if heredoc["indented"] else line) == heredoc["end"]:
            return


def _words(text: str, escape: str) -> list[str]:
    """The words of a line with their quotes; none where a quote is not closed."""
    mark = re.escape(escape)
    word = rf"""(?:[^\s"'{mark}]|{mark}.?|"(?:[^"{mark}]|{mark}.)*"|'[^']*')+"""
    if not re.fullmatch(rf"(?:\s*{word})*\s*", text):
        return []
    return re.findall(word, text)


def _declare(
    rest: str, arguments: dict[str, str], buildargs: Mapping[str, str], escape: str
) -> None:
    """Give arguments that are declared their values, those of the call first."""
    for declared in _words(rest, escape):
        name, has_default, default = declared.partition("=")
        if name in buildargs:
            arguments[name] = buildargs[name]
        elif has_default:
            arguments[name] = expanded(default, arguments, escape)


def _stage(rest: str) -> tuple[str, str]:
    """What follows FROM, without its flags: the image, and the name of the stage or none."""
    image, *more = [word for word in rest.split() if not word.startswith("--")] or [""]
    return image, more[1] if len(more) == 2 and more[0].upper() == "AS" else ""


def _copied_from(rest: str) -> str:
    for word in rest.split():
        if not word.startswith("--"):
            break
        flag, _, value = word.partition("=")
        if flag == "--from":
            return value
    return ""


def expanded(word: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """A word with its variables replaced and its quotes removed, as Docker does it."""
    return _Expansion(word, values, escape).until("")


class _Expansion:
    """Goes through a word once, from left to right."""

    def __init__(self, word: str, values: Mapping[str, str], escape: str) -> None:
        self._word = word
        self._values = values
        self._escape = escape
        self._place = 0

    def until(self, end: str, is_pattern: bool = False) -> str:
        """What comes before ``end``, or before the end of the word, expanded."""
        found = []
        while (char := self._next()) and char != end:
            if char == "'":
                found.append(self._literally_until("'"))
            elif char == '"':
                found.append(self._quoted())
            elif char == "$":
                found.append(self._variable())
            elif char == self._escape:
                found.append((char if is_pattern else "") + self._next())
            else:
                found.append(char)
        return "".join(found)

    def _next(self) -> str:
        char = self._word[self._place : self._place + 1]
        self._place += len(char)
        return char

    def _peek(self) -> str:
        return self._word[self._place : self._place + 1]

    def _literally_until(self, end: str) -> str:
        text, _, _ = self._word[self._place :].partition(end)
        self._place += len(text) + 1
        return text

    def _quoted(self) -> str:
        found = []
        while (char := self._next()) and char != '"':
            if char == "$":
                found.append(self._variable())
            elif char == self._escape and self._peek() in ('"', "$", self._escape):
                found.append(self._next())
            else:
                found.append(char)
        return "".join(found)

    def _name(self) -> str:
        name = _NAME.match(self._word, self._place)
        self._place = name.end() if name else self._place
        return name[0] if name else ""

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._values.get(name, "") if name else "$"
        self._next()
        value = self._values.get(self._name())
        operator = self._next()
        if operator == ":":  # then an empty value is none
            value = value or None
            operator = self._next()
        if operator in ("", "}"):
            return value or ""
        return self._modified(value, operator)

    def _modified(self, value: str | None, operator: str) -> str:
        if operator == "/":
            return self._replaced(value or "")
        word = self.until("}", is_pattern=operator in "#%")
        if operator == "-":
            return word if value is None else value
        if operator == "+":
            return "" if value is None else word
        if operator in "#%":
            return _trimmed(value or "", operator, word)
        return value or ""  # with "?", which makes Docker stop where there is none

    def _replaced(self, value: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._next()
        pattern = _regex(self.until("/", is_pattern=True), "*")
        replacement = self.until("}")
        return re.sub(pattern, lambda _: replacement, value, count=0 if everywhere else 1)


def _trimmed(value: str, operator: str, pattern: str) -> str:
    """``value`` without what the pattern matches at its beginning (``#``) or end (``%``)."""
    longest = pattern.startswith(operator)
    regex = _regex(pattern.removeprefix(operator), "*" if longest else "*?")
    if operator == "#":
        found = re.match(regex, value)
        return value[found.end() :] if found else value
    starts = range(len(value) + 1) if longest else range(len(value), -1, -1)
    start = next((each for each in starts if re.fullmatch(regex, value[each:])), len(value))
    return value[:start]


def _regex(pattern: str, star: str) -> str:
    """A shell's pattern, in which there are only ``*``, ``?`` and escapes, as a regex."""
    wild = {"*": f".{star}", "?": "."}
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(wild.get(part) or re.escape(part[-1]) for part in parts)

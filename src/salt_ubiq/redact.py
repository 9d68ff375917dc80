"""
Keeping pillar's secrets out of what people and programs get to read.

What is one, :mod:`salt_ubiq.sensitive` says; here they are found in texts, in all the
spellings in which templates and programs write them.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from salt.utils.yamlencoding import yaml_dquote

from salt_ubiq.sensitive import HIDDEN, SHORTEST, looking_secret, secrets

# A shorter piece of a longer text's base64 is found in others, too.
_SHORTEST_PIECE = 8
_LONGEST_QUOTED = 8192
# Where a message leaves out the rest of a text: what stands before it may be the beginning of one.
_CUT = "…"
_LINE_OF_BASE64 = 57  # bytes, in 76 letters


class Redactor:
    """
    Replaces in any text the secrets that pillars have.

    named
        paths of values that are secret whatever they look like, with ``:`` between keys

    They are found by their first letters: a pattern of as many alternatives as a large pillar
    has spellings would try them all at every place of a text.
    """

    def __init__(self, *pillars: Mapping[str, Any], named: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._layers: tuple[dict[str, list[str]], ...] = ()
        named = tuple(named)
        for pillar in pillars:
            self.hide(secrets(pillar, named))

    def copy(self) -> Redactor:
        """Another one, that hides the same and will learn by itself."""
        other = Redactor()
        other._secrets, other._layers = self._secrets, self._layers
        return other

    def hide(self, found: frozenset[str]) -> None:
        """Hide these, too, from now on."""
        new = found - self._secrets
        if not new:
            return
        self._secrets |= new
        layer: dict[str, list[str]] = {}
        for spelling in {each for secret in new for each in spellings(secret)}:
            layer.setdefault(spelling[:SHORTEST], []).append(spelling)
        self._layers += (layer,)

    def __call__(self, text: str) -> str:
        pieces, done = [], 0
        for start in self._starts(text):
            if start < done:
                continue
            end = start + max(self._lengths_at(text, start), default=0)
            if end > start:
                pieces += [text[done:start], HIDDEN]
                done = end
        return "".join([*pieces, text[done:]])

    def plain(self, value: Any) -> Any:
        """The same for all texts in plain data; keys stay unless they look like one."""
        if isinstance(value, Mapping):
            return {
                self(key) if looking_secret(str(key)) else key: self.plain(below)
                for key, below in value.items()
            }
        if isinstance(value, list | tuple):
            return type(value)(map(self.plain, value))
        return self(value) if isinstance(value, str) else value

    def _starts(self, text: str) -> list[int]:
        places = range(len(text) - SHORTEST + 1)
        found = {at for layer in self._layers for at in places if text[at : at + SHORTEST] in layer}
        return sorted(found)

    def _lengths_at(self, text: str, start: int) -> Iterator[int]:
        head = text[start : start + SHORTEST]
        until_cut = text.find(_CUT, start) - start
        for layer in self._layers:
            for spelling in layer.get(head, ()):
                if text.startswith(spelling, start):
                    yield len(spelling)
                elif 0 < until_cut < len(spelling) and text.startswith(spelling[:until_cut], start):
                    yield until_cut


@lru_cache(maxsize=20_000)
def spellings(secret: str) -> frozenset[str]:
    """All ways in which a secret is found in texts; with each of its lines, as by itself."""
    lines = {line.strip() for line in secret.splitlines()}
    whole = {secret, secret.strip()}
    # Of a very long text, the lines are enough, however it is quoted.
    quoted = lines if len(lines) > 1 and len(secret) > _LONGEST_QUOTED else lines | whole
    found = {
        *(each for text in quoted if len(text) >= SHORTEST for each in _escaped(text)),
        *(each for text in lines | whole if len(text) >= SHORTEST for each in _encoded(text)),
    }
    return frozenset(spelling for spelling in found if len(spelling) >= SHORTEST)


def _escaped(text: str) -> set[str]:
    """As it is, and as templates and programs quote it; also what is quoted within quotes."""
    once = {text, *(escape(text) for escape in _ESCAPES)}
    return once | {escape(other) for other in once - {text} for escape in _IN_TEXTS}


def _inside(quote: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: quote(text)[1:-1]


def _lower(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


# In texts of programs: JSON with letters as they are and not, YAML, Python's, the shell's.
_IN_TEXTS: tuple[Callable[[str], str], ...] = (
    _inside(json.dumps),
    _inside(lambda text: json.dumps(text, ensure_ascii=False)),
    _inside(repr),
    lambda text: shlex.quote(text).strip("'") if "'" in text else text,
)
_ESCAPES: tuple[Callable[[str], str], ...] = (
    *_IN_TEXTS,
    _inside(lambda text: json.dumps(text).replace("/", r"\/")),
    _inside(yaml_dquote),
    lambda text: text.replace("'", "''"),  # YAML, SQL
    lambda text: text.replace("'", r"\'"),
    lambda text: re.sub(r"([^\w@%+=:,./-])", r"\\\1", text),  # the shell's, without quotes
    html.escape,
    urllib.parse.quote,
    urllib.parse.quote_plus,
    lambda text: urllib.parse.quote(text, safe=""),
    lambda text: urllib.parse.quote(text, safe="!~*'()"),
    lambda text: _lower(urllib.parse.quote(text)),
    lambda text: _lower(urllib.parse.quote_plus(text)),
)


def _encoded(text: str) -> Iterator[str]:
    """In base64, by itself or within a longer text, in lines or not; in hexadecimal digits."""
    data = text.encode(errors="replace")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        yield whole
        yield whole.rstrip("=")
        for offset in range(3):
            # Of the first and last letters, some bits are of what is around it.
            before = -(-offset * 8 // 6)
            bits = (offset + len(data)) * 8
            piece = encode(bytes(offset) + data).decode()[before : bits // 6]
            if len(piece) >= _SHORTEST_PIECE:
                yield piece
        if len(data) > _LINE_OF_BASE64:
            for start in range(0, len(data), _LINE_OF_BASE64):
                piece = encode(data[start : start + _LINE_OF_BASE64]).decode()
                if len(piece) >= _SHORTEST_PIECE:
                    yield piece
    yield data.hex()
    yield data.hex().upper()

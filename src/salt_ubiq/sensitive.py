"""
Which values of pillar are secret: by where they stand, by how they look, by name.

What is taken for a secret is hidden in whatever people and programs get to read, see
:mod:`salt_ubiq.redact`. So ordinary words, paths and names of hosts must not be among it.
"""

from __future__ import annotations

import enum
import itertools
import re
import string
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin
    from detect_secrets.plugins.high_entropy_strings import HighEntropyStringsPlugin

HIDDEN = "******"
"""What is shown in the place of a secret."""

SHORTEST = 4
"""Letters; a shorter value is found in any text."""


class _Key(enum.Enum):
    """What a key tells of the value below it."""

    NOTHING = enum.auto()
    LIKELY = enum.auto()
    """A secret, unless it is a plain word, a path or the name of a host."""
    SECRET = enum.auto()
    """A secret, and all that is below."""


# Words of keys. In some that are written as one, the telling word is at the end.
_SECRET_WORDS = re.compile(
    r"pass|pwd?|passphrases?|passcodes?|psk|secrets?|tokens?|cred|creds|credentials?|"
    r"apikeys?|privkey|jwts?|otp|bearer|"
    r"\w*(?:passw(?:or)?ds?|passphrase|secrets?|tokens?|apikeys?|secretkey|privatekey|credentials)|"
    r"(?:db|user|root|admin|bind|smtp|ldap|mysql|require|master)(?:pass|pwd?)"
)
_LIKELY_WORDS = re.compile(
    r"auth|\w{3,}auth|authorization|dsn|certs?|certificates?|cookies?|private|salt|pin|webhook|sas|"
    r"signature|nonce"
)
_LIKELY_PAIRS = re.compile(r"(?:database|db|connection|conn|broker|redis)_(?:ur[il]|string|str)$")
# What is at the end of a key that says something of a secret, but not the secret.
_ABOUT = frozenset(
    "file files filename path paths dir directory env variable var type types method methods mode "
    "algorithm algo size length len bits ttl timeout expiry expires lifetime age days hours "
    "seconds count limit policy enabled disabled required host hosts hostname port ports user "
    "username users domain domains group owner label title format version backend provider "
    "plugin module driver issuer realm network networks address ip subnet registry "
    "registries repo repos repository package packages server servers service services".split()
)
_VARIABLES = (["env"], ["var"], ["variable"])
_OF_KEYS = frozenset("access aes api encryption hmac master session signing".split())
_PUBLIC = frozenset({"public", "pub", "pubkey", "pubkeys", "authorized"})
# Keys of values that look like nothing, and that everybody may see.
_CHECKSUMS = re.compile(
    r"hash|hashes|checksums?|sums?|sha\d*|sha\d+sums?|md5|digests?|integrity|fingerprints?|rev|"
    r"revision|commit|ref|uuid|keyid|etag"
)

_SAID = frozenset("true false none null".split())
_PATH = re.compile(
    r"(?:salt:/|~|/(?:app|bin|boot|data|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|"
    r"srv|sys|tmp|usr|var))(?:/[\w.+@-]+)+/?"
)
_REFERENCE = re.compile(r"\$\{?\w+\}?|%\(\w+\)s|\{\{.*\}\}|<[\w -]+>", re.DOTALL)
_HOST = re.compile(r"\.?[a-z0-9-]{1,20}(?:\.[a-z0-9-]{1,20})*\.[a-z]{2,10}")
_PLAIN_WORD = re.compile(r"[A-Za-z]{1,10}")

_BODY = r"-----[^-]*(?:-(?!----)[^-]*)*(?:-----END \1-----)?"
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)" + _BODY)
_PUBLIC_PEM = re.compile(
    r"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE(?: REQUEST)?|[A-Z0-9 ]*PUBLIC KEY(?: BLOCK)?|"
    rf"DH PARAMETERS|X509 CRL){_BODY}|(?:ssh|ecdsa|sk)-[\w@.-]{{1,64}} AAAA[\w+/=]+"
)
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s/:@]*:([^\s/]+)@", re.I)
_CRYPT = re.compile(
    r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w*|pbkdf2[\w-]*|scrypt|apr1)\$[\w./$=,+-]{12,}"
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_YAML_LINE = re.compile(
    r"""^[ \t-]*(?P<key>[\w-]+)["']?:[ \t]+["']?(?P<value>[^\s"']+)["']?[ \t]*$""", re.M
)
_ASSIGNED = re.compile(
    r"""(?<![\w-])(?P<key>[\w-]{1,64})["'\]]?[ \t]*=>?[ \t]*"""
    r"""(?:"(?P<one>[^"\n]+)"|'(?P<two>[^'\n]+)'|"""
    r"""(?P<bare>[^\s"'`;&,()<>{}\[\]]+)(?![\w(]))"""
)
_WORD = re.compile(r"[^\s\"'`<>(){}\[\],;]+")
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{16,}")
_HEX = re.compile(r"(?:0x)?[0-9a-f]+|(?:0x)?[0-9A-F]+")
_HASH = re.compile(r"\b(?:md5|sha\d+)[:=-][A-Za-z0-9+/=]+", re.I)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I)
# How often neighbours are of different kinds (letters, capitals, digits), at least: in
# random text in 6 of 10 cases, in 3 to 4 of 10 where either letters or capitals are missing.
_MIXED, _MIXED_IN_LONG, _MIXED_OF_TWO = 0.4, 0.3, 0.2
_LEAST_OF_TWO = 20
_NUMBERED = re.compile(r"[A-Za-z]+\d{1,2}")
_SHORTEST_TOKEN, _LONGEST_TOKEN = 10, 4096  # letters; with more, some patterns take long
_REMEMBERED = 20_000  # values; the processes of parallel builds have them from the first
# Of detect-secrets: those that tell by a keyword beside the value or by an address alone, and
# those of which this module has more.
_NOT_FOR_VALUES = frozenset(
    "KeywordDetector IPPublicDetector PrivateKeyDetector BasicAuthDetector "
    "Base64HighEntropyString HexHighEntropyString".split()
)


def secrets(values: Any, named: Iterable[str] = ()) -> frozenset[str]:
    """
    Return the secrets among the values of a pillar.

    named
        paths of more of them, with ``:`` between keys
    """
    found = set(_below(values, _Key.NOTHING))
    for path in named:
        found.update(_below(at(values, path), _Key.SECRET))
    return frozenset(each for each in found if len(each) >= SHORTEST)


def looking_secret(key: str) -> bool:
    """Whether something in a key, or in the keys of a path, is a secret by its look."""
    return bool(_by_look(key, checksum=True))


def at(values: Any, path: str) -> Any:
    """The value at a path with ``:`` between keys and numbers of list items, or ``None``."""
    for key in path.split(":"):
        if isinstance(values, Mapping):
            values = {str(name): value for name, value in values.items()}.get(key)
        elif isinstance(values, list | tuple) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        else:
            return None
    return values


def _below(value: Any, told: _Key, checksum: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        inherited = told if told is _Key.SECRET else _Key.NOTHING
        for key, below in value.items():
            words = _words(str(key))
            yield from _by_look(str(key), checksum=True)
            own = _told_by(words) if inherited is _Key.NOTHING else inherited
            if isinstance(below, str) and words[-1:] in _VARIABLES and _VARIABLE.fullmatch(below):
                own = _Key.NOTHING  # where the secret is, not what
            yield from _below(below, own, any(map(_CHECKSUMS.fullmatch, words)))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _below(item, told, checksum)
    elif isinstance(value, bytes):
        yield from _below(value.decode(errors="replace"), told, checksum)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if _is_secret(text.strip(), told):
            yield text
        yield from _by_look(text, checksum)


def _is_secret(text: str, told: _Key) -> bool:
    if told is _Key.NOTHING or text.lower() in _SAID or _PATH.fullmatch(text):
        return False
    if _REFERENCE.fullmatch(text):
        return False
    return told is _Key.SECRET or not (_PLAIN_WORD.fullmatch(text) or _HOST.fullmatch(text))


def _words(key: str) -> list[str]:
    """``db``, ``password`` of ``dbPassword``, ``DB_PASSWORD`` or ``db-password``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", apart) if word]


def _told_by(words: list[str]) -> _Key:
    words = [bare for word in words if (bare := word.rstrip(string.digits))]
    if not words or words[-1] in _ABOUT or not _PUBLIC.isdisjoint(words):
        return _Key.NOTHING
    if any(map(_SECRET_WORDS.fullmatch, words)) or _names_key(words):
        return _Key.SECRET
    if any(map(_LIKELY_WORDS.fullmatch, words)) or _LIKELY_PAIRS.search("_".join(words)):
        return _Key.LIKELY
    return _Key.NOTHING


def _names_key(words: list[str]) -> bool:
    """``key``, ``ssl_key``, ``api_keys``, ``SECRET_KEY_BASE``; not ``keys`` or ``keys_dir``."""
    several = words[-1] == "keys" and not _OF_KEYS.isdisjoint(words)
    return several or words[-1] == "key" or ("api", "key") in itertools.pairwise(words)


@lru_cache(maxsize=_REMEMBERED)
def _by_look(text: str, checksum: bool) -> tuple[str, ...]:
    """
    The parts of a text that look like secrets, whatever their key.

    checksum
        whether hexadecimal digits may well be a hash there, or a name
    """
    return tuple(_looking(text, checksum)) if len(text) >= SHORTEST else ()


def _looking(text: str, checksum: bool) -> Iterator[str]:
    for block in _PEM.finditer(text):
        yield block[0]
    text = _PUBLIC_PEM.sub(" ", _PEM.sub(" ", text))
    yield from _CRYPT.findall(text)
    for url in _URL_PASSWORD.finditer(text):
        yield from _of_url(url[0], url[1])
    for match in _ASSIGNED.finditer(text):
        yield from _assigned(match["key"], match["one"] or match["two"] or match["bare"])
    for line in _YAML_LINE.finditer(text):
        yield from _assigned(line["key"], line["value"])
    for word in dict.fromkeys(_WORD.findall(text)):
        yield from _tokens(word, checksum)


def _of_url(beginning: str, password: str) -> Iterator[str]:
    if not _REFERENCE.fullmatch(password):
        # One that is too short to be found in other texts goes with what is around it.
        yield password if len(password) >= SHORTEST else beginning
        yield urllib.parse.unquote(password)


def _assigned(key: str, value: str) -> Iterator[str]:
    """What is written in a text beside a key that only secrets have."""
    words = _words(key)
    if words != ["key"] and _told_by(words) is _Key.SECRET and _is_secret(value, _Key.SECRET):
        yield value


def _tokens(word: str, checksum: bool) -> Iterator[str]:
    for plugin in _plugins() if _SHORTEST_TOKEN <= len(word) <= _LONGEST_TOKEN else ():
        for token in plugin.analyze_string(word):
            # Some stop before its end.
            yield from re.findall(rf"{re.escape(token)}[\w.-]*", word)
    for run in _RUN.findall(_HASH.sub(" ", word)):
        if _is_random(run, checksum):
            yield run


def _is_random(run: str, checksum: bool) -> bool:
    base64, hexadecimal = _entropies()
    if _HEX.fullmatch(run):
        return not checksum and not run.isdecimal() and hexadecimal(run)
    if _UUID.fullmatch(run):
        return False
    kinds = [_kind(sign) for sign in run if sign.isalnum()]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    share = changes / max(len(kinds) - 1, 1)
    if len({*kinds}) == 3:
        named = _NUMBERED.fullmatch(run)
        return (share >= _MIXED and not named) or (share >= _MIXED_IN_LONG and base64(run))
    # Without a sign in between that would make words of it.
    long = len(run) >= _LEAST_OF_TWO and run.isalnum()
    return long and len({*kinds}) == 2 and "0" in kinds and share >= _MIXED_OF_TWO


def _kind(sign: str) -> str:
    return "0" if sign.isdigit() else "A" if sign.isupper() else "a"


@cache
def _plugins() -> tuple[BasePlugin, ...]:
    """Those of detect-secrets that know a secret by itself. They take a moment to import."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    known: Mapping[str, type[BasePlugin]] = get_mapping_from_secret_type_to_class()
    return tuple(plugin() for plugin in known.values() if plugin.__name__ not in _NOT_FOR_VALUES)


@cache
def _entropies() -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Which text has more entropy than detect-secrets grants it: of base64, of hex digits."""
    from detect_secrets.plugins.high_entropy_strings import (
        Base64HighEntropyString,
        HexHighEntropyString,
    )

    return _is_above(Base64HighEntropyString()), _is_above(HexHighEntropyString())


def _is_above(plugin: HighEntropyStringsPlugin) -> Callable[[str], bool]:
    def is_above(run: str) -> bool:
        return bool(plugin.calculate_shannon_entropy(run) > plugin.entropy_limit)

    return is_above

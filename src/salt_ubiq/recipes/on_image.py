"""
A recipe as the image itself tells it, so that any host can say why the image is stale.

It has names and the beginnings of hashes: enough to see which of many things has changed, too
little to find what a value is. Whether anything has changed, the whole digest decides.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from salt_ubiq.recipes.recipe import Recipe

# Hexadecimal digits: of values, which may be as weak as a PIN, fewer where no key hides them.
_OF_VALUES, _WITH_KEY = 2, 8
_OF_NAMES = 4
_MOST = 1 << 20
_HASHES = ("parent", "states", "files", "pillar", "config", "build", "buildargs")


def in_short(recipe: Recipe) -> Recipe:
    """Return what an image tells of a recipe; names of pillar's keys are in it as hashes."""
    key = bytes.fromhex(recipe.key)
    shortened: dict[str, Any] = {part: _shortened(getattr(recipe, part), key) for part in _HASHES}
    shortened["pillar"] = {_name(path, key): value for path, value in shortened["pillar"].items()}
    return replace(recipe, **shortened, key=_digits("key", key, _OF_NAMES) if key else "")


def to_label(recipe: Recipe) -> str:
    """Return what an image bears of its recipe."""
    plain = {name: value for name, value in in_short(recipe).to_dict().items() if value}
    packed = zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 9)
    return base64.b64encode(packed).decode()


def from_label(text: str) -> Recipe | None:
    """Return what an image tells, ``None`` where that can't be read."""
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(text), _MOST)
        return _RECIPE.validate_json(unpacked)
    except (binascii.Error, zlib.error, ValueError):
        return None


def changes_since(told: Recipe, new: Recipe) -> list[str]:
    """
    Say what is not as an image tells, in sentences.

    told
        by the image

    new
        as it is declared now
    """
    key = bytes.fromhex(new.key)
    names = {_name(path, key): path for path in new.pillar}
    now = in_short(new)
    return _named(now, names).changes_since(_named(told, names))


def _named(recipe: Recipe, names: Mapping[str, str]) -> Recipe:
    """With the names of pillar's keys, so far as they are known here."""
    known = {names.get(name, "…"): value for name, value in recipe.pillar.items()}
    return replace(recipe, pillar=known)


def _shortened(hashes: Mapping[str, str], key: bytes) -> dict[str, str]:
    digits = _WITH_KEY if key else _OF_VALUES
    return {name: _digits(value, key, digits) for name, value in hashes.items()}


def _name(path: str, key: bytes) -> str:
    return _digits(path, key, _OF_NAMES)


def _digits(text: str, key: bytes, count: int) -> str:
    data = text.encode()
    whole = hmac.digest(key, data, "sha256").hex() if key else hashlib.sha256(data).hexdigest()
    return whole[:count]


_RECIPE = TypeAdapter(Recipe)

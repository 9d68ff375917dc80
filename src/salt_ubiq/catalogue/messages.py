"""
What is wrong with a catalogue, in the words of whoever writes the pillar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ValidationError

from salt_ubiq.catalogue.models import (
    IDENTITY,
    Bootstrap,
    Check,
    Healthcheck,
    HttpAnswer,
    ImageConfig,
)
from salt_ubiq.errors import Problem, brief, near_matches


def unknown_keys(found: Iterable[str], known: Iterable[str], path: str) -> list[Problem]:
    return [
        Problem(f"{path}:{brief(key)}", _unknown_key(str(key), known))
        for key in found
        if key not in known
    ]


def _unknown_key(key: str, known: Iterable[str]) -> str:
    known = sorted(known)
    return f"unknown key{near_matches(key, known) or '; known are ' + ', '.join(known)}"


def translated(exc: ValidationError, path: str, model: type[BaseModel]) -> list[Problem]:
    """pydantic's errors in the words of whoever writes the pillar."""
    problems = []
    errors = exc.errors(include_url=False)
    places = [error["loc"] for error in errors]
    for error in errors:
        where = tuple(each for each in error["loc"] if each != "[key]")
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "too_short":
            if any(place[: len(where)] == where and place != where for place in places):
                continue  # it is short of items that have errors of their own
            message = "must not be empty"
        elif error["type"] == "missing":
            message = "missing, this key is required"
        elif error["type"] == "extra_forbidden":
            owners = [key for key in where[:-1] if isinstance(key, str)]
            fields = _NESTED[owners[-1]] if owners else model
            message = _unknown_key(str(where[-1]), set(fields.model_fields) - IDENTITY)
        elif error["type"] == "literal_error":
            message = f"write {error['ctx']['expected'].lower().replace(chr(39), '')}"
        elif error["type"] in _LIMITS:
            bound, limit = _LIMITS[error["type"]]
            message = f"write a number {bound} {error['ctx'][limit]:g}"
        elif error["type"] in _WANTED:
            message = f"write {_WANTED[error['type']]}, not {kind(error['input'])}"
        problems.append(Problem(":".join(filter(None, [path, *map(brief, where)])), message))
    return problems


_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("from", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("up to", "le"),
}
_WANTED = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def kind(value: object) -> str:
    """What a YAML writer calls it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = {
        str: "text",
        bytes: "binary data",
        Mapping: "a mapping",
        list: "a list",
        int: "a number",
        float: "a number",
    }
    return next((name for each, name in kinds.items() if isinstance(value, each)), "this")


_NESTED: dict[str, type[BaseModel]] = {
    "config": ImageConfig,
    "healthcheck": Healthcheck,
    "bootstrap": Bootstrap,
    "verify": Check,
    "http": HttpAnswer,
}

"""
From the value of the key ``ubiq`` in pillar or minion config to a typed, validated
:class:`~salt_ubiq.catalogue.catalogue.Catalogue`, or to one
:class:`~salt_ubiq.errors.CatalogueError` that lists every mistake with its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.consistency import Outline, outline, problems_between, problems_of_names
from salt_ubiq.catalogue.fields import Names
from salt_ubiq.catalogue.messages import kind, translated, unknown_keys
from salt_ubiq.catalogue.models import IDENTITY, KEY, Base, Questions, Runtime, Service, Settings
from salt_ubiq.catalogue.references import PREFIX
from salt_ubiq.errors import CatalogueError, Problem, brief

_SHORTEST_KEY = 16
_SETTINGS = tuple(each.name for each in fields(Settings))
_MODELS: dict[str, type[Base] | type[Service]] = {"bases": Base, "services": Service}
_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Names)


def parse(data: object) -> Catalogue:
    """
    Validate the value of the key ``ubiq``.

    data
        ``{"defaults": …, "bases": {name: …}, "services": {name: …}}``, or
        ``None`` for an empty catalogue

    Raises :class:`~salt_ubiq.errors.CatalogueError` with all mistakes.
    """
    if data is None:
        return Catalogue({}, Settings())
    if not isinstance(data, Mapping):
        raise CatalogueError([Problem(KEY, "write a mapping with the keys bases and services")])
    if broken := list(_broken_texts(data, KEY)):
        raise CatalogueError(broken)
    problems = unknown_keys(
        data,
        (*_SETTINGS, "defaults", *_MODELS),
        KEY,
    )
    settings = Settings(
        runtime=_runtime(data.get("runtime"), problems),
        pillar_keys=_pillar_keys(_section(data, "pillar_keys", problems), problems),
        registry=_registry(data.get("registry"), problems),
        secrets=_secrets(data.get("secrets"), problems),
        recipe_key=_recipe_key(data.get("recipe_key"), problems),
        questions=_questions(data.get("questions"), problems),
    )
    defaults = _section(data, "defaults", problems)
    usable = {key for model in _MODELS.values() for key in model.model_fields} - IDENTITY
    problems += unknown_keys(defaults, usable, f"{KEY}:defaults")

    images: dict[str, Base | Service] = {}
    declared: dict[str, Outline] = {}
    for section, model in _MODELS.items():
        for name, body in _section(data, section, problems).items():
            path = f"{KEY}:{section}:{brief(name)}"
            if not isinstance(body, Mapping):
                problems.append(Problem(path, f"write a mapping, not {kind(body)}"))
                continue
            if name in declared:
                problems.append(Problem(path, f"the name is taken by {declared[name].path}"))
                continue
            body = _with_defaults(body, defaults, model)
            problems += unknown_keys(IDENTITY & set(body), set(model.model_fields) - IDENTITY, path)
            declared[name] = outline(path, section, body)
            try:
                images[name] = model.model_validate({**body, "name": name, "path": path})
            except ValidationError as exc:
                problems += translated(exc, path, model)
    problems += problems_between(declared)
    problems += problems_of_names(list(images.values()), settings.registry)
    if problems:
        raise CatalogueError(problems)
    return Catalogue(images, settings)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``under``, mappings merged key by key."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[key] = value
    return result


def _runtime(declared: Any, problems: list[Problem]) -> Runtime | None:
    if declared is False:
        return None
    try:
        return Runtime.model_validate({} if declared in (None, True) else declared)
    except ValidationError as exc:
        problems += translated(exc, f"{KEY}:runtime", Runtime)
        return None


def _questions(declared: Any, problems: list[Problem]) -> Questions:
    try:
        return Questions.model_validate({} if declared is None else declared)
    except ValidationError as exc:
        problems += translated(exc, f"{KEY}:questions", Questions)
        return Questions()


def _registry(declared: Any, problems: list[Problem]) -> str | None:
    if declared is None or (isinstance(declared, str) and PREFIX.fullmatch(declared)):
        return declared
    message = "write a registry's host, with port and path if need be: registry.example.org/team"
    problems.append(Problem(f"{KEY}:registry", message))
    return None


def _pillar_keys(
    declared: Mapping[str, Any], problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    keys = {}
    for mod, names in declared.items():
        try:
            keys[mod] = _NAMES.validate_python(names)
        except ValidationError as exc:
            problems += translated(exc, f"{KEY}:pillar_keys:{brief(mod)}", Service)
    return keys


def _secrets(declared: Any, problems: list[Problem]) -> tuple[str, ...]:
    try:
        paths = _NAMES.validate_python([] if declared is None else declared)
    except ValidationError as exc:
        problems += translated(exc, f"{KEY}:secrets", Service)
        return ()
    for number, path in enumerate(paths):
        if not all(path.split(":")):
            message = (
                f"'{brief(path)}' is not a path into pillar: write app:dsn, with : between keys"
            )
            problems.append(Problem(f"{KEY}:secrets:{number}", message))
    return paths


def _recipe_key(declared: Any, problems: list[Problem]) -> str | None:
    if declared is None or (isinstance(declared, str) and len(declared) >= _SHORTEST_KEY):
        return declared
    message = (
        f"write a text of at least {_SHORTEST_KEY} letters that nobody can guess, such as "
        "`openssl rand -hex 32` prints"
    )
    problems.append(Problem(f"{KEY}:recipe_key", message))
    return None


def _broken_texts(value: object, path: str) -> Iterator[Problem]:
    """What no text can have: halves of characters, of which nothing else can be made."""
    if isinstance(value, str) and not _is_whole(value):
        yield Problem(path, "has half a character (a lone surrogate)")
    if isinstance(value, Mapping):
        for key, below in value.items():
            place = f"{path}:{brief(key)}"
            yield from _broken_texts(below, place)
            if isinstance(key, str) and not _is_whole(key):
                yield Problem(place, "the key has half a character (a lone surrogate)")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _broken_texts(item, f"{path}:{number}")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _section(data: Mapping[str, Any], key: str, problems: list[Problem]) -> Mapping[str, Any]:
    section = data.get(key)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        problems.append(Problem(f"{KEY}:{key}", "write a mapping of names to declarations"))
        return {}
    return {str(name): body for name, body in section.items()}


def _with_defaults(
    body: Mapping[str, Any], defaults: Mapping[str, Any], model: type[BaseModel]
) -> dict[str, Any]:
    """The declaration with those defaults under it that its kind of image has."""
    return merged(
        {key: value for key, value in defaults.items() if key in model.model_fields}, body
    )

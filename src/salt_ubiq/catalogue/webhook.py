"""
What a webhook may order: images of the catalogue by their names, and how to build them.

What it sends comes from outside; nothing but what is checked here reaches a build.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from salt_ubiq.catalogue.consistency import NAME
from salt_ubiq.errors import CatalogueError, Problem, brief


def _exact_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("write the whole name of an image, no glob and no +")
    return value


class Order(BaseModel):
    """Names of images, and arguments of ``build_all``, as they are there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: Annotated[list[Annotated[str, AfterValidator(_exact_name)]], Field(min_length=1)]
    push: bool = False
    refresh: bool = False
    force: bool = False


def parse(data: object) -> Order:
    """
    Validate what was sent: a mapping with the keys of :class:`Order`.

    Raises :class:`~salt_ubiq.errors.CatalogueError` with all mistakes.
    """
    try:
        return Order.model_validate(data)
    except ValidationError as exc:
        problems = [_problem(error["loc"], error["type"], error["msg"]) for error in exc.errors()]
        raise CatalogueError(problems, "the order") from None


def _problem(where: tuple[int | str, ...], kind: str, message: str) -> Problem:
    if kind == "extra_forbidden":
        # Somebody else's text, that goes to the log.
        return Problem(
            f"'{brief(where[0])}'", f"unknown key; there are {', '.join(Order.model_fields)}"
        )
    if not where:
        message = "write a mapping, as JSON"
    elif kind == "too_short":
        message = "must not be empty"
    elif kind == "missing":
        message = "missing, this key is required"
    return Problem(":".join(map(str, where)) or "the body", message.removeprefix("Value error, "))

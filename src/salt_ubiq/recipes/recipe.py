"""
Recipes: everything that goes into one image, as hashes.

The digest of an image's recipe is on it as a label. Two recipes compared say
whether, and why, an image is not any more what is declared.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from salt_ubiq.catalogue.models import KEY, Base, Service
from salt_ubiq.errors import BuildError
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.sensitive import HIDDEN, looking_secret

# Of the recipes themselves: another one when what goes into them changes.
_FORMAT = 2
_LONGEST_NAME = 60

Hashes = Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """
    What one image is made of, everything by its name.

    parent
        the parent's name or reference, and its image ID

    mods
        the SLS modules, in order

    states
        hashes of the low state, by ``sls: module.function name``, in order

    files
        hashes of the files that states or the Dockerfile use, by URL or path

    pillar
        hashes of the pillar's values, by their paths with ``:`` between keys

    config, build, buildargs
        hashes of the image config, of what the build container is given, of the
        Dockerfile's arguments, by key

    salt
        the version of Salt

    pip
        the Python packages that Salt has for its states

    key
        what its digest is made with, the catalogue's ``digest_key``; a recipe without one has a
        digest from which weak values can be guessed
    """

    parent: Hashes = field(default_factory=dict)
    mods: Sequence[str] = ()
    states: Hashes = field(default_factory=dict)
    files: Hashes = field(default_factory=dict)
    pillar: Hashes = field(default_factory=dict)
    config: Hashes = field(default_factory=dict)
    build: Hashes = field(default_factory=dict)
    buildargs: Hashes = field(default_factory=dict)
    salt: str = ""
    pip: Sequence[str] = ()
    key: str = field(default="", repr=False)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits: the same for the same recipe, wherever it is made."""
        plain = self.to_dict()
        key = bytes.fromhex(plain.pop("key"))
        ordered = _json({**plain, "states": list(plain["states"].items()), "format": _FORMAT})
        return hmac.digest(key, ordered, "sha256").hex() if key else _sha256(ordered)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; ``pip`` only where there is any, as recipes have been without."""
        plain = {**asdict(self), "mods": list(self.mods), "pip": list(self.pip)}
        return {key: plain[key] for key in plain if key != "pip" or self.pip}

    def changes_since(self, old: Recipe) -> list[str]:
        """Say what is not as it was in ``old``, in sentences; nothing where all is."""
        return list(_changes(old, self))


def check(service: Service, compiled: CompiledStates, clean: Callable[[str], str]) -> None:
    """Raise :class:`~salt_ubiq.errors.BuildError` where the states of a service do not compile."""
    if compiled.errors:
        errors = "\n".join(compiled.errors)
        raise BuildError(f"{service.name}: the states do not compile:\n{clean(errors)}")


def of_service(
    service: Service,
    parent_id: str,
    compiled: CompiledStates,
    files: Hashes,
    clean: Callable[[str], str],
    key: str = "",
) -> Recipe:
    """
    The recipe of a service.

    files
        the hashes of what it takes of the state tree

    clean
        takes secrets out of the names of states

    key
        what its digest is made with

    Raises :class:`~salt_ubiq.errors.BuildError` where the states do not compile.
    """
    check(service, compiled, clean)
    return Recipe(
        parent={service.base: parent_id},
        mods=service.mods,
        states=state_hashes(compiled, clean),
        files=dict(sorted(files.items())),
        pillar=_pillar_hashes(compiled.pillar),
        config=_hashed(service.config.model_dump(mode="json", exclude_defaults=True)),
        build=_hashed({**_network(service), **_services(service), **service.build}),
        salt=importlib.metadata.version("salt"),
        key=key,
    )


def of_base(base: Base, parents: Hashes, files: Hashes, key: str = "") -> Recipe:
    """
    The recipe of a base.

    parents
        the IDs of the images that its Dockerfile is FROM, by reference

    files
        the hashes of the files in its build context

    key
        what its digest is made with
    """
    return Recipe(
        parent=dict(parents),
        files=dict(sorted(files.items())),
        buildargs=_hashed(base.buildargs),
        build=_hashed(_network(base)),
        key=key,
    )


def _network(image: Base | Service) -> dict[str, str]:
    return {"network_mode": image.network_mode} if image.network_mode else {}


def _services(service: Service) -> dict[str, str]:
    return {} if service.services == "started" else {"services": service.services}


def state_hashes(compiled: CompiledStates, clean: Callable[[str], str]) -> dict[str, str]:
    """Hashes of the low state by ``sls: module.function name``, in order."""
    hashes: dict[str, str] = {}
    times: Counter[str] = Counter()
    for chunk in compiled.chunks:
        # "order" would make one state that is put in a change of all that follow.
        content = {key: value for key, value in chunk.items() if key != "order"}
        name = described(chunk["__sls__"], chunk["state"], chunk["fun"], chunk.get("name"), clean)
        times[name] += 1
        hashes[f"{name} ({times[name]})" if times[name] > 1 else name] = _hash(content)
    return hashes


def described(
    sls: str | None, state: str, fun: str, name: object, clean: Callable[[str], str]
) -> str:
    """How people are told of a state: ``web: file.managed /etc/nginx/nginx.conf``."""
    line = clean(str(name)).strip().partition("\n")[0]
    if len(line) > _LONGEST_NAME:
        line = f"{line[:_LONGEST_NAME]}…"
    return f"{sls}: {state}.{fun} {line}"


def _pillar_hashes(pillar: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of pillar's values by their paths; a key that looks like a secret is in its hash."""
    hashes: dict[str, str] = {}
    hidden: list[tuple[str, str]] = []
    for path, value in _leaves(pillar):
        if looking_secret(path):
            shown = ":".join(HIDDEN if looking_secret(key) else key for key in path.split(":"))
            hidden.append((shown, _hash([path, value])))
        else:
            hashes[path] = value
    for number, (shown, value) in enumerate(hidden, 1):
        hashes[f"{shown} ({number})"] = value
    return hashes


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and (value or not path):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], (*path, str(key)))
    else:
        yield ":".join(path), _hash(value)


def _hashed(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: _hash(values[key]) for key in sorted(values)}


def _hash(value: Any) -> str:
    return _sha256(_json(value))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _changes(old: Recipe, new: Recipe) -> Iterator[str]:
    """
    What people changed. What follows from it they can't act on: a new parent, other
    mods and other pillar bring other states, and these bring other files.
    """
    causes = [*_key(old, new), *_parent(old, new), *_mods(old, new), *_pillar(old, new)]
    causes += _named(f"{KEY}:runtime:pip", old.pip, new.pip)
    states = [] if causes else [*_differences("states", old, new), *_order(old, new)]
    yield from causes
    yield from states
    yield from _differences("files", old, new, only_changed=bool(causes or states))
    for part in ("config", "build", "buildargs"):
        yield from _differences(part, old, new)
    if old.salt != new.salt:
        yield f"Salt changed: {old.salt} to {new.salt}"


def _key(old: Recipe, new: Recipe) -> Iterator[str]:
    if old.key != new.key:
        how = "changed" if old.key and new.key else "added" if new.key else "removed"
        yield f"{KEY}:recipe_key {how}"


def _parent(old: Recipe, new: Recipe) -> Iterator[str]:
    if old.parent.keys() == new.parent.keys():
        yield from (f"parent {name} changed" for name in _changed(old.parent, new.parent))
    else:
        yield f"parent changed: {', '.join(old.parent)} to {', '.join(new.parent)}"


def _mods(old: Recipe, new: Recipe) -> Iterator[str]:
    yield from _named("mods", old.mods, new.mods)
    if {*old.mods} == {*new.mods} and [*old.mods] != [*new.mods]:
        yield "mods changed: their order"


def _named(title: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    added = [f"+ {name}" for name in new if name not in old]
    removed = [f"- {name}" for name in old if name not in new]
    if added or removed:
        yield f"{title} changed: {', '.join(added + removed)}"


def _pillar(old: Recipe, new: Recipe) -> Iterator[str]:
    yield from (f"pillar {path} changed" for path in _changed(old.pillar, new.pillar))
    yield from (f"pillar {path} added" for path in _tops(new.pillar, old.pillar))
    yield from (f"pillar {path} removed" for path in _tops(old.pillar, new.pillar))


def _tops(paths: Iterable[str], others: Iterable[str]) -> list[str]:
    """The highest paths at or above ``paths`` that have none of ``others`` below them."""
    known = {above for path in others for above in _upwards(path)}
    tops = {next((each for each in _upwards(path) if each not in known), None) for path in paths}
    return sorted(top for top in tops if top)


def _upwards(path: str) -> Iterator[str]:
    """``a``, ``a:b``, ``a:b:c`` of ``a:b:c``."""
    keys = path.split(":")
    return (":".join(keys[: length + 1]) for length in range(len(keys)))


def _order(old: Recipe, new: Recipe) -> Iterator[str]:
    if old.states.keys() == new.states.keys() and [*old.states] != [*new.states]:
        yield "states changed: their order"


_TITLES = {"files": "", "states": "state "}


def _differences(part: str, old: Recipe, new: Recipe, only_changed: bool = False) -> Iterator[str]:
    title = _TITLES.get(part, f"{part} ")
    before, after = getattr(old, part), getattr(new, part)
    yield from (f"{title}{key} changed" for key in _changed(before, after))
    if not only_changed:
        yield from (f"{title}{key} added" for key in after if key not in before)
        yield from (f"{title}{key} removed" for key in before if key not in after)


def _changed(before: Hashes, after: Hashes) -> list[str]:
    return [key for key in after if key in before and after[key] != before[key]]

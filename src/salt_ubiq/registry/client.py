"""
Images in registries: pushing them, pulling them, and the digests they have there.

The engine is what talks to registries; here is what it is to be asked, with which
login, and what to do when a registry does not answer.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, TypeVar

from salt_ubiq.catalogue import references
from salt_ubiq.catalogue.models import Image
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import AccessDenied, EngineError, RegistryError
from salt_ubiq.redact import Redactor
from salt_ubiq.registry.digests import Digests
from salt_ubiq.registry.logins import FROM_ENVIRONMENT, KEY, VARIABLES, Login
from salt_ubiq.registry.names import host_of, target_of
from salt_ubiq.workspace.files import file_name, private_directory
from salt_ubiq.workspace.slots import Workspace

log = logging.getLogger(__name__)

# What the engine says, without the names in it, which may look like anything.
_NAMES = re.compile(r'"https?://[^"]*"')
_DENIED = re.compile(
    r"unauthorized|denied|forbidden|no basic auth|authentication required|insufficient.scope"
    r"|incorrect username",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"connection (?:refused|reset|aborted)|\bEOF\b|broken pipe|closed network connection"
    r"|time-?out|timed out|deadline exceeded|no such host|server misbehaving"
    r"|temporary failure|no route to host|network is unreachable|blob upload"
    r"|too ?many ?requests|(?:^|: )unknown: |unavailable|bad gateway|internal server error"
    r"|(?:status(?: code)?:?|HTTP) 5\d\d\b",
    re.IGNORECASE,
)
# What another attempt does not help, though the registry's own fault.
_FULL = re.compile(r"\b507\b|insufficient storage|no space left", re.IGNORECASE)
# What is said of what no registry answers.
_NO_REGISTRY = re.compile(
    r"invalid character|unexpected end of JSON|error unmarshalling|Content-Type header"
    r"|missing signature key|checksum digest format|no realm|did not include a token"
    r"|stopped after \d+ redirects",
    re.IGNORECASE,
)
_HINTS = {
    "server gave HTTP response to HTTPS client": (
        "it has no TLS: give it a certificate, or name it under insecure-registries in the "
        "engine's daemon.json"
    ),
    "x509:": (
        "the engine does not trust its certificate: put the authority's certificate at "
        "/etc/docker/certs.d/{host}/ca.crt on the engine's host"
    ),
}

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Note = Callable[[str], None]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Pushed:
    """
    What is in a registry now.

    reference
        the name in the registry, ``host/repository:tag``

    digest
        of the image's manifest there

    pushed
        whether it was not there before

    old
        the digest that was there before, ``None`` where there was none
    """

    reference: str
    digest: str
    pushed: bool
    old: str | None = None


class Registry:
    """
    Where a catalogue's images are pushed to and pulled from.

    prefix
        what comes before a repository that names no registry, ``ubiq:registry`` in the
        catalogue; without it, such a repository is Docker Hub's

    logins
        as :func:`credentials` returns them; for other registries the login in the
        engine client's own config is used

    attempts, first_delay
        how often to try what a network or a registry fails to do, and how many seconds
        to wait after the first time; twice that after the second, and so on
    """

    def __init__(
        self,
        engine: Engine,
        workspace: Workspace,
        prefix: str | None = None,
        logins: Mapping[str, Login] | None = None,
        attempts: int = 5,
        first_delay: float = 1.0,
    ) -> None:
        self._engine = engine
        self._workspace = workspace
        self._prefix = prefix
        self._home = host_of(target_of("image", prefix)) if prefix else None
        self._logins = dict(logins or {})
        self._attempts = attempts
        self._first_delay = first_delay
        self.digests = Digests(workspace)
        self._names = private_directory(workspace.path / "registry-names")

    def push(self, image: Image, note: Note = log.info) -> list[Pushed]:
        """
        See to it that a registry has an image as it is on the engine, under all its tags.

        note
            is told what happens, line by line

        Raises :class:`~salt_ubiq.errors.RegistryError`, where it wants another login
        :class:`~salt_ubiq.errors.AccessDenied`; tags before the one it names are pushed then.
        """
        return [self._push(image, reference, note) for reference in image.references]

    def missing(self, image: Image, note: Note = log.info) -> dict[str, str | None]:
        """
        Say what :meth:`push` would push: names in the registry, and the digests they have now.

        Raises as :meth:`push` does.
        """
        local = self._engine.images.find(image.reference)
        if local is None:
            raise RegistryError(f"{image.name}: there is no {image.reference}: build it first")
        places = [self._place(reference) for reference in image.references]
        digests = {place.reference: self._digest(place, note) for place in places}
        known = self.digests.of(local)
        return {reference: now for reference, now in digests.items() if now not in known}

    def pull(self, image: Image, note: Note = log.info) -> ImageInfo | None:
        """
        Give the engine an image of the catalogue, under its first tag, from the registry.

        Returns ``None`` where the registry does not have it, or where neither the
        repository nor ``ubiq:registry`` names one: who owns that name on Docker Hub is
        anybody's guess. Raises as :meth:`push` does.
        """
        place = self._place(image.reference)
        if not self._prefix and not references.names_host(image.reference):
            return None
        with self._named(place, image.reference):
            if self._digest(place, note) is None:
                return None
            note(f"{place.reference}: pulling")
            pulled = self._asked(place, note, self._engine.images.pull)
            self.digests.add(pulled.id, *self.digests.of(pulled))
            self._engine.images.tag(pulled.id, [image.reference])
        return self._engine.images.existing(image.reference)

    def digest(self, reference: str, note: Note = log.info) -> str | None:
        """
        Return the digest of any image in its registry, ``None`` where that lacks it.

        Raises as :meth:`push` does.
        """
        if references.is_id(reference):
            return None  # an image's ID, which registries don't know
        own = host_of(reference) == self._home
        return self._digest(_Place(reference, self._login(reference, own)), note)

    def _push(self, image: Image, reference: str, note: Note) -> Pushed:
        place = self._place(reference)
        with self._named(place, reference):
            local = self._engine.images.find(reference)
            if local is None:
                raise RegistryError(f"{image.name}: there is no {reference}: build it first")
            remote = self._digest(place, note)
            if remote and remote in self.digests.of(local):
                note(f"{place.reference}: is there already")
                return Pushed(place.reference, remote, False, remote)
            self._engine.images.tag(local.id, [place.reference])
            digest = self._asked(place, note, partial(self._send, note=note))
            self.digests.add(local.id, digest)
        note(f"{place.reference}: {digest}")
        return Pushed(place.reference, digest, digest != remote, remote)

    def _send(self, reference: str, login: dict[str, str] | None, note: Note) -> str:
        """Push, with a word about each step of each layer; return the digest."""
        digest, told = "", set()
        for message in self._engine.images.push(reference, login):
            digest = _told_digest(message) or digest
            words = [str(message[key]) for key in ("id", "status") if message.get(key)]
            line = ": ".join([reference, *words])
            if "Retrying in" in line:  # it counts the seconds down
                line = f"{reference}: a layer is not taken ({words[0]}): Docker sends it again"
            if words and line not in told:
                told.add(line)
                note(line)
        # Not every engine says it.
        found = digest or self._engine.images.remote_digest(reference, login)
        if not found:
            raise EngineError(f"can't push {reference}: the registry does not have it afterwards")
        return found

    def _digest(self, place: _Place, note: Note) -> str | None:
        return self._asked(place, note, self._engine.images.remote_digest)

    def _asked(
        self, place: _Place, note: Note, ask: Callable[[str, dict[str, str] | None], _T]
    ) -> _T:
        """What the registry answers to the engine, once it does."""
        for attempt in count(1):
            try:
                return ask(place.reference, place.config)
            except EngineError as exc:
                if attempt >= self._attempts or not place.is_passing(exc):
                    raise place.error(exc, attempt) from None
                delay = self._first_delay * 2 ** (attempt - 1)
                note(
                    f"{place.clean(exc)}; trying again in {delay:g} s "
                    f"({attempt} of {self._attempts} attempts failed)"
                )
            time.sleep(delay)
        raise AssertionError  # it counts for ever

    def _place(self, reference: str) -> _Place:
        """Where an image of the catalogue is in a registry."""
        target = target_of(reference, self._prefix)
        return _Place(target, self._login(target, self._home in (None, host_of(target))))

    def _login(self, reference: str, own: bool) -> Login | None:
        """The login for a registry; the environment's only for our ``own``."""
        environment = self._logins.get(FROM_ENVIRONMENT) if own else None
        return self._logins.get(host_of(reference), environment)

    @contextmanager
    def _named(self, place: _Place, reference: str) -> Iterator[None]:
        """
        Nobody else pushes or pulls it meanwhile, which would take its name away.

        That goes at the end, unless the engine had it before; a file says that it is
        ours, lest one that a killed process has left be taken for the user's.
        """
        waiting = f"{place.reference}: waiting for another push or pull of it to end"
        with self._workspace.lock(f"registry-{place.reference}", waiting):
            ours = self._names / file_name(place.reference)
            if place.reference == reference or (
                not ours.exists() and self._engine.images.find(place.reference)
            ):
                yield
                return
            ours.touch()
            try:
                yield
            finally:
                self._engine.images.remove(place.reference)
                ours.unlink()


@dataclass(frozen=True)
class _Place:
    """A name in a registry, and the login there."""

    reference: str
    login: Login | None

    @property
    def config(self) -> dict[str, str] | None:
        """The login as the engine's client takes it."""
        if self.login is None:
            return None
        return {
            "username": self.login.username,
            "password": self.login.password,
            "email": self.login.email,
            "serveraddress": host_of(self.reference),
        }

    def clean(self, exc: EngineError) -> str:
        """What went wrong, without the password, whoever repeats it."""
        return Redactor({"password": self.login.password if self.login else ""})(str(exc).strip())

    def is_passing(self, exc: EngineError) -> bool:
        """Say whether another attempt may succeed."""
        message = self._message(exc)
        lasting = _DENIED.search(message) or _FULL.search(message)
        return bool(_PASSING.search(message)) and not lasting

    def error(self, exc: EngineError, attempts: int) -> RegistryError:
        """Return what to raise: which registry, why, and what to do."""
        host, reason, message = host_of(self.reference), self.clean(exc), self._message(exc)
        if _DENIED.search(message):
            return AccessDenied(f"registry {host}: {reason}; {self._advice(host)}")
        hint = next((hint for said, hint in _HINTS.items() if said in message), "")
        if _FULL.search(message):
            hint = "it has no space left: remove images there, or give it more"
        elif self.is_passing(exc):
            hint = f"{attempts} attempts failed: see whether it runs and can be reached"
        elif _NO_REGISTRY.search(message):
            hint = (
                "no registry answers so: see what runs at {host}, and whether a proxy is before it"
            )
        more = f"; {hint.format(host=host)}" if hint else ""
        return RegistryError(f"registry {host}: {reason}{more}")

    def _advice(self, host: str) -> str:
        if self.login:
            return (
                f"check the password of '{self.login.username}' ({self.login.source}) and "
                "what that user may do there"
            )
        return (
            f"it wants a login: write username and password under {KEY}:{host} in pillar, "
            f"or set {' and '.join(VARIABLES)}"
        )

    def _message(self, exc: EngineError) -> str:
        return _NAMES.sub("", str(exc).replace(self.reference, ""))


def _told_digest(message: Mapping[str, Any]) -> str:
    """The digest that a message of a push has: apart, or, of containerd's image store, in words."""
    told = (message.get("aux") or {}).get("Digest")
    words = _DIGEST.search(str(message.get("status") or ""))
    return str(told) if told else words[0] if words else ""

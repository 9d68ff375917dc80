"""
A service: ``docker.sls_build``, prepared, watched and finished.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from salt_ubiq import sensitive
from salt_ubiq.builds import service_pillar
from salt_ubiq.builds.answers import HERE, Answers, Ask, answering, asking
from salt_ubiq.builds.image_config import image_config
from salt_ubiq.builds.parent_facts import Facts, ParentFacts
from salt_ubiq.builds.residue import Residue, swept
from salt_ubiq.builds.state_returns import StateReturns
from salt_ubiq.catalogue.models import ImageConfig, Service
from salt_ubiq.catalogue.references import split
from salt_ubiq.containers import salt_call
from salt_ubiq.containers.client import NOBODY, BuildClient, BuildContainer, Listener
from salt_ubiq.containers.file_server import FileServer
from salt_ubiq.containers.salt import SaltInContainer
from salt_ubiq.containers.salt_call import SaltContainer
from salt_ubiq.containers.session import QUESTIONED, BuildSession
from salt_ubiq.containers.state_tree import StateTree
from salt_ubiq.engine.failures import is_without_tools
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.engine.label_keys import ASKED, LOG, MADE_OF, RECIPE
from salt_ubiq.errors import (
    BeginningChanged,
    BuildError,
    CallFailed,
    NoTools,
    StatesFailed,
    UbiqError,
    near_matches,
)
from salt_ubiq.recipes import beginning, on_image, recipe, tree_files
from salt_ubiq.recipes.compiled_states import CompiledStates, NoContainer
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.results import States

log = logging.getLogger(__name__)

# A random one would make grains, and with them images, differ from build to build.
_HOSTNAME = "ubiq-build"
# Where docker.call looks for Python.
_PYTHONS = ("python3", "/usr/libexec/platform-python")


class ServiceBuild:
    """
    The build of one service on its parent, at a session.

    salt
        in its containers

    labels
        of the image and of its container

    pillar_keys
        of the minion's pillar that the states see, ``None`` for all

    The image is left under the slot's private reference.
    """

    def __init__(
        self,
        service: Service,
        parent: ImageInfo,
        session: BuildSession,
        salt: SaltInContainer,
        labels: Mapping[str, str],
        pillar_keys: Collection[str] | None = None,
    ) -> None:
        self.name = service.name
        self._service = service
        self._parent = parent
        self._session = session
        self._surroundings = salt.surroundings
        self._prepare = salt.prepare
        self._labels = labels
        self._pillar_keys = pillar_keys
        self._config = image_config(service.config, parent.config, labels)
        self._first: int | None = None
        self._may_ask = True
        self.is_sure = True
        """Whether all is known that its states want to know."""
        self.attempt = Attempt()
        """What the latest run came to, failed or not."""

    def imagined(self) -> ServiceBuild:
        """
        The same where no container is to be started: with this host's grains where the parent's
        are not known, and without answers that are not.
        """
        made = copy.copy(self)
        known = ParentFacts(self._session.workspace).known(self._parent.id, self._salt)
        made.is_sure = known is not None
        made.__dict__["_facts"] = known or Facts(
            dict(self._session.opts["grains"]), Residue((), ())
        )
        made._may_ask = False
        return made

    def beginning(self, count: int, labels: Mapping[str, str]) -> ServiceBuild:
        """The build of an image with just the first of its states, and no config of its own."""
        made = copy.copy(self)
        made._first = count
        made._labels = labels
        made._config = image_config(ImageConfig(), self._parent.config, labels)
        made._service = self._service.model_copy(
            update={"config": ImageConfig(), "keep_failed": False}
        )
        return made

    def compiled(self) -> CompiledStates:
        """
        Compile the states; only for a new parent's grains is a container needed.

        Raises :class:`~salt_ubiq.errors.BuildError`.
        """
        self._tree.check(self._service)
        container = NoContainer(self._facts.grains)
        with self._pillar() as opts:
            functions = self._functions(container, opts)
            functions["docker.sls"]("", ",".join(self._service.mods), **self._sls_arguments())
        if container.compiled is None:
            raise BuildError(f"{self._service.name}: docker.sls of this Salt compiles no states")
        return container.compiled

    def unknown_functions(self, compiled: CompiledStates) -> list[str]:
        """Say which functions of states there are none of, though this host has their modules."""
        known = self._session.state_functions()
        wanted = {f"{each['state']}.{each['fun']}": each for each in compiled.chunks}
        found = []
        for name, state in wanted.items():
            if name not in known:
                # Other modules may load in the image alone.
                ours = [each for each in known if each.startswith(f"{state['state']}.")]
                if ours:
                    where = f"{self.name}: {state['__sls__']}: {state['__id__']}"
                    text = f"{where}: there is no {name}{near_matches(name, ours)}"
                    found.append(self._session.clean(text))
        return found

    def recipe_of(self, compiled: CompiledStates, asked: Collection[str] = ()) -> Recipe:
        """
        Return the recipe of the service with these states.

        asked
            what they ask for of the state tree while they run

        Raises :class:`~salt_ubiq.errors.BuildError` where they do not compile.
        """
        left_out = tree_files.left_out(compiled)
        sent = {url: hash_ for url, hash_ in compiled.files.items() if url not in left_out}
        more = tree_files.looked_at(compiled) | frozenset(asked)
        files = {**sent, **self._tree.server().hashes(more - left_out)}
        session, runtime = self._session, self._surroundings.runtime
        made = recipe.of_service(
            self._service, self._parent.id, compiled, files, session.clean, session.recipe_key
        )
        if runtime:
            made = replace(made, pip=tuple(sorted(runtime.pip)))
        if self._first is None:
            return made
        return beginning.recipe_of_first(made, compiled, bool(self._tree.modules))

    def run(self, on: ImageInfo, holds: CompiledStates | None = None) -> Built:
        """
        Build on an image: the parent, or one that has a part of the states applied to it.

        holds
            that part

        Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image.
        """
        service, sent, made = self._service, list[CompiledStates](), list[Recipe]()
        self._tree.check(service)
        states = self._state_returns(self._session.log_line)
        residue, server = self._facts.residue, self._server()

        def note(package: Path) -> None:
            sent.append(CompiledStates.read(package))
            recipe.check(service, sent[-1], self._session.clean)  # before anything runs
            if holds and not beginning.begins(holds, sent[-1]):
                raise BeginningChanged(f"{service.name}: its states have changed meanwhile")
            if self._first is not None:
                sent[-1] = beginning.first(sent[-1], self._first)
                sent[-1].keep_in(package)
            client.nothing_to_apply = not sent[-1].chunks

        def finish() -> None:
            residue.remove(client)
            made.append(self._label(client, sent[-1], server.asked))

        # What was built before is not wanted.
        self._session.engine.images.remove(self._session.slot.reference)
        done = f" and {len(holds.chunks)} states that are applied" if holds else ""
        log.info(
            "%s: applying %s to %s%s", service.name, ", ".join(service.mods), service.base, done
        )
        container = self._container(on, keep_as=self._failed_image())
        try:
            with self._client(container, self._listener(states, server, note)) as client:
                client.before_commit = finish
                self._sls_build(client, states, on)
                self._correct(client)
        finally:
            if sent and not sent[-1].errors:
                asked = frozenset(server.asked).difference(sent[-1].files)
                self.attempt = Attempt(
                    made[-1] if made else self.recipe_of(sent[-1], asked),
                    states.seconds(sent[-1].chunks),
                    states.failed_at(sent[-1].chunks),
                )
        return Built(states.states, states.changed, made[-1], states.warnings(service))

    def adopt(self, image: ImageInfo, compiled: CompiledStates) -> Built:
        """
        Make the service's image of one to which just its states are applied already.

        Raises :class:`~salt_ubiq.errors.BuildError`.
        """
        session = self._session
        log.info("%s: all of its states are applied already", self.name)
        private = split(session.slot.reference)
        with (
            self._client(replace(self._container(image), entrypoint=True)) as client,
            session.engine.containers.trial(
                image.id, session.slot.name, entrypoint=["never started"], use_config_proxy=False
            ) as container,
        ):
            recipe = self._label(client, compiled, image.asked)
            client.commit(container, private.repository, private.tag)
            self._correct(client)
        return Built(States(total=len(recipe.states)), (), recipe)

    def _correct(self, client: BuildClient) -> None:
        """Podman commits the container's own config with the image's, and no healthcheck."""
        if self._session.engine.is_podman:
            reference = self._session.slot.reference
            self._session.engine.images.reconfigure(reference, client.image_config)

    def unconverged(self, image: ImageInfo) -> tuple[str, ...]:
        """Apply the states to a finished image in test mode; return those that are not in place."""
        states = self._state_returns(lambda _: None)
        log.info("%s: seeing whether its states have converged", self._service.name)
        # One that fails needs what is in the image no longer: it has not converged either.
        container = self._container(image, test=True)
        listener = self._listener(states, self._server())
        with self._client(container, listener) as client, suppress(StatesFailed):
            self._sls_build(client, states, image, dryrun=True)
        return states.changed

    def _sls_build(
        self, client: BuildClient, states: StateReturns, on: ImageInfo, **more: Any
    ) -> None:
        self._prepare()
        private = split(self._session.slot.reference)
        try:
            with self._pillar() as opts:
                self._functions(client, opts)["docker.sls_build"](
                    private.repository,
                    tag=private.tag,
                    base=on.id,
                    mods=",".join(self._service.mods),
                    **self._sls_arguments(),
                    **self._create_arguments(),
                    **more,
                )
        except UbiqError:
            raise
        except Exception as exc:
            raise self._explained(exc, client, states) from exc

    @contextmanager
    def _pillar(self) -> Iterator[dict[str, Any]]:
        """Keep the build's pillar for a while; yield the opts with which Salt has no other."""
        grains, session = self._facts.grains, self._session
        minions = session.once(
            ("pillar", self._parent.id), lambda: service_pillar.of_minion(grains, session.opts)
        )
        # What minions and this image's grains see of pillar may not be the same.
        found = session.once(
            ("secrets", self._parent.id), lambda: sensitive.secrets(minions, session.secrets)
        )
        session.clean.hide(found)
        values = service_pillar.of_service(self._service, minions, self._pillar_keys)
        with (
            service_pillar.root(values, session.slot) as opts,
            self._asking(json.dumps(values)) as ask,
            answering(self._here, ask) as asked,
        ):
            # Nothing of this host's own: it is not what the states are for.
            yield {**opts, **asked, "grains": dict(grains)}

    @property
    def _here(self) -> frozenset[str]:
        """The modules whose functions run on this host when states ask while they render."""
        questions = self._session.questions
        return (HERE | frozenset(questions.here)) - frozenset(questions.image)

    def _asking(self, pillar: str) -> AbstractContextManager[Ask]:
        """What asks the parent what the states want to know while they render."""
        session = self._session
        known = Answers(
            session.workspace, self._parent.id, self._answering, pillar, clean=session.clean
        )
        return asking(known, partial(self._questioned, pillar))

    @contextmanager
    def _questioned(self, pillar: str) -> Iterator[SaltContainer]:
        """A container of the parent that answers what the states ask while they render."""
        if not self._may_ask:
            self.is_sure = False
            raise BuildError(f"{self.name}: {self._service.base} is not asked for a plan")
        self._prepare()
        log.info("%s: asking %s what its states want to know", self.name, self._service.base)
        listener = self._listener(self._state_returns(lambda _: None), self._server(pillar))
        with salt_call.container(
            self._parent,
            self._service.base,
            self._session,
            self._surroundings,
            listener,
            salt_call.Use(suffix=QUESTIONED),
            **self._create_arguments(),
        ) as container:
            yield container

    def _sls_arguments(self) -> dict[str, str]:
        arguments = {
            "extra_filerefs": ",".join(self._service.extra_filerefs),
            "saltenv": self._service.saltenv if self._service.saltenv != "base" else "",
        }
        return {key: value for key, value in arguments.items() if value}

    def _failed_image(self) -> dict[str, Any] | None:
        """How to commit the container of a build that fails."""
        service = self._service
        if not service.keep_failed:
            return None
        labels = {**self._config.get("Labels", {}), LOG: self._session.log_path}
        conf = {**self._config, "Labels": labels}
        return {**asdict(split(service.failed_reference)), "conf": conf}

    def _explained(self, exc: Exception, client: BuildClient, states: StateReturns) -> UbiqError:
        name, failed = self._service.name, states.states.failed
        if client.timed_out:
            how = f"{name}: not done after {self._service.timeout:g} s"
            return BuildError(states.cut_off(how), failed)
        if client.lost_engine:
            engine = self._session.engine.address
            return BuildError(f"{name}: the Docker engine at {engine} was stopped meanwhile")
        if client.failure:
            return BuildError(f"{name}: {self._session.clean(str(client.failure))}")
        if is_without_tools(exc):
            return NoTools()
        text = f"{name}: {states.explain() or self._session.clean(_last_line(exc))}"
        if failed and not states.was_cut_off:
            return StatesFailed(text, failed)
        return BuildError(text, failed)

    def _state_returns(self, log_line: Callable[[str], None]) -> StateReturns:
        note = partial(log.debug, "%s: %s", self._service.name)
        volumes = self._parent.config.get("Volumes") or ()
        return StateReturns(self._session.clean, log_line, note, volumes)

    def _container(self, on: ImageInfo, **more: Any) -> BuildContainer:
        return BuildContainer(
            name=self._session.slot.name,
            image_config=self._config,
            entrypoint=bool(on.config.get("Entrypoint")) or not self._config.get("Cmd"),
            surroundings=self._surroundings,
            timeout=self._service.timeout,
            grains=self._facts.grains,
            **more,
        )

    def _client(self, container: BuildContainer, listener: Listener = NOBODY) -> BuildClient:
        return BuildClient(self._session.engine.arguments, container, listener)

    def _listener(
        self,
        states: StateReturns,
        server: FileServer,
        sent: Callable[[Path], None] = lambda _: None,
    ) -> Listener:
        def announced(what: Mapping[str, Any]) -> None:
            if isinstance(what.get("used"), str):
                server.note_used(what["used"])
            states.announced(what)

        return Listener(states.observe, announced, sent, server.answer)

    def _label(
        self, client: BuildClient, compiled: CompiledStates, asked: Collection[str]
    ) -> Recipe:
        """Have the image say what it is made of; return that."""
        more = frozenset(asked).difference(compiled.files)
        recipe = self.recipe_of(compiled, more)
        client.label(RECIPE, recipe.digest)
        client.label(MADE_OF, on_image.to_label(recipe))
        if more or self._parent.labels.get(ASKED):
            client.label(ASKED, json.dumps(sorted(more)) if more else "")
        return recipe

    def _functions(self, client: BuildClient | NoContainer, opts: Mapping[str, Any]) -> Any:
        """Salt's execution modules, with a docker module that works through ``client``."""
        functions = self._session.functions(opts, {"docker.client": client})
        functions.pack["__salt__"].update(client.container_resource())
        return functions

    def _create_arguments(self) -> dict[str, Any]:
        """What ``docker.create`` is to know of the build container."""
        build = {key: value for key, value in self._service.build.items() if key != "environment"}
        if self._service.network_mode:
            build.setdefault("network_mode", self._service.network_mode)
        # In the network of the host, or of another container, it bears a name already.
        network = str(build.get("network_mode", ""))
        named = network == "host" or network.startswith("container:")
        return {
            **({} if named else {"hostname": _HOSTNAME}),
            "labels": dict(self._labels),
            "stop_timeout": 0,  # its command ignores SIGTERM as PID 1
            **build,
        }

    def _server(self, pillar: str | None = None) -> FileServer:
        service = self._service
        config = {"ubiq_services": service.services, "ubiq_certificates": service.certificates}
        return self._tree.server(config, pillar)

    @cached_property
    def _tree(self) -> StateTree:
        return StateTree(self._session, self._service.saltenv)

    @cached_property
    def _facts(self) -> Facts:
        """What is to be known of the parent."""
        facts = ParentFacts(self._session.workspace)
        return facts.facts(self._parent.id, self._salt, self._asked_facts)

    @cached_property
    def _salt(self) -> str:
        """Which Salt it is that says what grains the parent has, and with which of the tree."""
        version, runtime = importlib.metadata.version("salt"), self._surroundings.runtime
        with_what = (version, runtime.volume if runtime else "plain", self._tree.grains)
        return "-".join(filter(None, with_what))

    @property
    def _answering(self) -> str:
        """Which Salt it is whose answers are remembered."""
        return "-".join(filter(None, (self._salt, self._tree.modules)))

    def _asked_facts(self) -> Facts:
        self._prepare()
        if self._surroundings.runtime is None:
            self._check_python()
        log.info("%s: asking %s for its grains", self._service.name, self._service.base)
        try:
            with salt_call.container(
                self._parent,
                self._service.base,
                self._session,
                self._surroundings,
                self._listener(self._state_returns(lambda _: None), self._tree.server()),
                salt_call.Use(self._service.timeout),
                **self._create_arguments(),
            ) as container:
                before = swept(container.client)
                grains = container.call("grains.items")
                return Facts(grains, Residue.between(before, swept(container.client)))
        except (BuildError, CallFailed) as exc:
            text = self._session.clean(str(exc)) + self._other_platform()
            raise BuildError(f"{self._service.where('base')}: {text}") from None

    def _other_platform(self) -> str:
        """What to say where an image is not of the engine's platform, and can't run there maybe."""
        version = self._session.engine.version()
        engines, images = f"{version['Os']}/{version['Arch']}", self._parent.platform
        if not images or images == engines:
            return ""
        return f"; {self._service.base} is of {images}, and the engine of {engines}"

    def _check_python(self) -> None:
        """Salt runs in the container with the image's own Python: see that there is one for it."""
        needed = SpecifierSet(importlib.metadata.metadata("salt")["Requires-Python"])
        has = f"{self._service.where('base')}: {self._service.base} has"
        remedy = "take a newer base, or let Salt run with its own Python (ubiq:runtime)"
        engine = self._session.engine
        with engine.containers.asleep(self._parent.id, self._session.slot.name) as container:
            engine.containers.start(container)
            for python in _PYTHONS:
                command = [python, "-c", "import platform; print(platform.python_version())"]
                done = engine.containers.execute(container, command)
                if done.status == 0 and needed.contains(done.printed, prereleases=True):
                    return
                if done.status == 0:
                    raise BuildError(
                        f"{has} Python {done.printed}, and this host's Salt needs {needed}: "
                        f"{remedy}"
                    )
        raise BuildError(f"{has} no Python that runs, and Salt needs one: {remedy}")


@dataclass(frozen=True)
class Attempt:
    """
    What a run came to so far as it came.

    recipe
        of the states that it was to apply, ``None`` where it did not come so far

    seconds
        how long each of them took, 0 for those that were not applied

    failed_at
        how many there are before the first that failed, ``None`` where none has
    """

    recipe: Recipe | None = None
    seconds: tuple[float, ...] = ()
    failed_at: int | None = None


@dataclass(frozen=True)
class Built:
    """
    What a build came to.

    changed
        the names of the states that have changed something, as recipes have them
    """

    states: States
    changed: tuple[str, ...]
    recipe: Recipe
    warnings: tuple[str, ...] = ()


def _last_line(exc: Exception) -> str:
    lines = [line for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__

"""A base's recipe and build, with an engine that only says what it has and prints."""

from __future__ import annotations

import pytest

from salt_ubiq.builds.base import build, recipe_of
from salt_ubiq.catalogue.models import Base
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import BuildError, EngineError
from salt_ubiq.redact import Redactor
from salt_ubiq.workspace.slots import Workspace

# As the engine prints it: one message for each line.
PRINTED = """\
Step 1/4 : FROM debian:12
 ---> aaaaaaaaaaaa
Step 2/4 : RUN one
 ---> Running in 0123456789ab
one
two
Removing intermediate container 0123456789ab
 ---> bbbbbbbbbbbb
Step 3/4 : RUN two
 ---> Using cache
 ---> cccccccccccc
Step 4/4 : RUN three
 ---> Running in 0123456789ac
 ---> dddddddddddd
"""


class Engine:
    """
    has
        the IDs of its images, by name

    prints
        what it prints of a build, and ``error``, how that ends
    """

    def __init__(self, **has):
        self.has = has
        self.prints = PRINTED
        self.error = None
        self.pulled = []
        self.builds = []
        self.registry = {}
        self.images = self

    def find(self, reference):
        image_id = self.has.get(reference)
        return ImageInfo(image_id, {}, 1) if image_id else None

    existing = find

    def pull(self, reference):
        self.pulled.append(reference)
        if reference not in self.registry:
            raise EngineError(f"can't pull {reference}: not found")
        self.has[reference] = self.registry[reference]
        return self.find(reference)

    def build(self, **arguments):
        self.builds.append(arguments)
        for line in self.prints.splitlines(keepends=True):
            yield {"stream": line}
        if self.error:
            yield {"error": self.error}


@pytest.fixture
def engine():
    engine = Engine()
    engine.has["debian:12"] = "sha256:debian"
    return engine


@pytest.fixture
def session(engine, tmp_path):
    workspace, log = Workspace(str(tmp_path / "cache")), []
    with workspace.slot() as slot:
        yield BuildSession(
            engine=engine, workspace=workspace, slot=slot, opts={}, clean=Redactor(),
            log_path="", log_line=log.append, known={"log": log},
        )  # fmt: skip


@pytest.fixture
def context(tmp_path):
    """A build context: a directory."""
    directory = tmp_path / "context"
    (directory / "files").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM debian:12\nCOPY files /srv\n")
    (directory / "files" / "one").write_text("one\n")
    return directory


@pytest.fixture
def base(context):
    """``base(…)``: its declaration."""

    def declare(**more):
        declared = {"repository": "u/small", "dockerfile": str(context), **more}
        return Base(name="small", path="ubiq:bases:small", **declared)

    return declare


# Recipes


def changes(session, base, then, known=None):
    """What is said of a base after something was done to its context."""
    before = recipe_of(base, session, known or {})
    then()
    return recipe_of(base, session, known or {}).changes_since(before)


def test_the_same_context_is_the_same_recipe(session, base):
    assert changes(session, base(), lambda: None) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: (path / "files" / "one").write_text("two\n"), "files/one changed"),
        (lambda path: (path / "files" / "one").chmod(0o755), "files/one changed"),
        (lambda path: (path / "files" / "two").write_text(""), "files/two added"),
        (lambda path: (path / "files" / "one").unlink(), "files/one removed"),
        (lambda path: (path / "files" / "link").symlink_to("one"), "files/link added"),
        (lambda path: (path / "Dockerfile").write_text("FROM debian:12\n"), "Dockerfile changed"),
    ],
)
def test_each_file_of_the_context_counts(session, base, context, change, reason):
    (said,) = changes(session, base(), lambda: change(context))
    assert said == f"{context}/{reason}"


def test_what_the_engine_is_not_sent_does_not_count(session, base, context):
    (context / ".dockerignore").write_text("# a comment\n\n*.tmp\nfiles\n!files/one\n")
    assert changes(session, base(), lambda: (context / "a.tmp").write_text("")) == []
    assert changes(session, base(), lambda: (context / "files" / "two").write_text("")) == []
    assert len(changes(session, base(), lambda: (context / "files" / "one").write_text(""))) == 1


def test_another_image_below_counts_under_its_name(session, base, engine, context):
    (context / "Dockerfile").write_text("ARG FROM\nFROM $FROM\nCOPY --from=tools:1 /a /a\n")
    declared = base(buildargs={"FROM": "debian:12"})
    engine.has["tools:1"] = "sha256:tools"
    recipe = recipe_of(declared, session, {})
    assert recipe.parent == {"debian:12": "sha256:debian", "tools:1": "sha256:tools"}
    said = changes(session, declared, lambda: engine.has.update({"tools:1": "sha256:other"}))
    assert said == ["parent tools:1 changed"]


def test_what_is_not_on_the_engine_any_more_has_not_changed(session, base, engine):
    known = {"debian:12": "sha256:debian"}
    assert changes(session, base(), engine.has.clear, known) == []


def test_what_is_bootstrapped_is_known_by_how_it_is_made(session, base, engine):
    made = {"image": "debian:12", "suite": "bookworm", "variant": "minbase"}
    declared = base(bootstrap=made)
    assert changes(session, declared, lambda: engine.has.update({"debian:12": "sha256:new"})) == []
    other = recipe_of(base(bootstrap={**made, "variant": "apt"}), session, {})
    said = other.changes_since(recipe_of(declared, session, {}))
    assert said == ["parent debian:12 changed"]


def test_a_context_without_a_dockerfile_names_the_place(session, base, context):
    (context / "Dockerfile").unlink()
    with pytest.raises(BuildError) as caught:
        recipe_of(base(), session, {})
    assert str(caught.value) == (
        f"ubiq:bases:small:dockerfile: there is no Dockerfile in {context}"
    )


# Builds


def test_a_base_is_built_from_what_its_last_stage_is_from(session, base, engine, context):
    engine.has["nginx"] = "sha256:nginx"
    (context / "Dockerfile").write_text("FROM nginx AS made\nFROM debian:12\n")
    built = build(base(), session, "run")
    assert built.parent.id == "sha256:debian"
    assert built.recipe.parent == {"nginx": "sha256:nginx", "debian:12": "sha256:debian"}
    (arguments,) = engine.builds
    assert arguments["labels"]["org.salt-ubiq.recipe"] == built.recipe.digest
    assert arguments["labels"]["org.opencontainers.image.base.name"] == "debian:12"
    assert (arguments["tag"], arguments["nocache"]) == (session.slot.reference, False)


def test_a_base_from_scratch_has_no_parent(session, base, engine, context):
    (context / "Dockerfile").write_text("FROM scratch\nCOPY files /\n")
    assert build(base(), session, "run").parent is None


def test_what_is_missing_is_pulled_and_with_anew_everything_is(session, base, engine, context):
    (context / "Dockerfile").write_text("FROM debian:12\nCOPY --from=tools:1 /a /a\n")
    engine.registry = {"tools:1": "sha256:tools", "debian:12": "sha256:newer"}
    build(base(), session, "run")
    assert engine.pulled == ["tools:1"]
    built = build(base(), session, "run", anew=True)
    assert engine.pulled[1:] == ["debian:12", "tools:1"]
    assert built.recipe.parent["debian:12"] == "sha256:newer"
    assert engine.builds[1]["nocache"] is True


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("FROM gone:1\n", "FROM gone:1"),
        ("FROM debian:12\nCOPY --from=gone:1 a b\n", "COPY --from=gone:1"),
    ],
)
def test_what_can_not_be_pulled_is_told_with_its_instruction(
    session, base, context, text, instruction
):
    (context / "Dockerfile").write_text(text)
    with pytest.raises(BuildError) as caught:
        build(base(), session, "run")
    assert str(caught.value).startswith(
        f"ubiq:bases:small:dockerfile: {instruction}: can't pull gone:1: not found; "
    )


def test_what_is_printed_goes_to_the_log(session, base):
    build(base(), session, "run")
    assert session.known["log"] == PRINTED.splitlines()


def test_a_failure_says_at_which_step_with_what_that_printed(session, base, engine):
    engine.prints = "".join(PRINTED.splitlines(keepends=True)[:6])
    engine.error = "The command '/bin/sh -c one' returned a non-zero code: 3\n"
    with pytest.raises(BuildError) as caught:
        build(base(), session, "run")
    assert str(caught.value) == (
        "small: the Dockerfile fails at step 2/4, RUN one: "
        "The command '/bin/sh -c one' returned a non-zero code: 3\n  one\n  two"
    )


def test_a_failure_before_any_step_says_so(session, base, engine):
    engine.prints, engine.error = "", "dockerfile parse error"
    with pytest.raises(BuildError) as caught:
        build(base(), session, "run")
    assert str(caught.value) == (
        "small: the Dockerfile fails before its first step: dockerfile parse error"
    )


def test_layers_are_known_to_be_nobody_elses_while_they_are(session, base, engine):
    """Until the build succeeds; those before a cached step are another build's, too."""
    lines = PRINTED.splitlines(keepends=True)
    seen = {}
    for count in range(len(lines)):
        engine.prints, engine.error = "".join(lines[:count]), "killed"
        with pytest.raises(BuildError):
            build(base(), session, "run")
        seen[count] = session.slot.layers
    assert seen[7] == []
    assert seen[8] == ["bbbbbbbbbbbb"]
    assert seen[10] == seen[11] == []
    engine.prints = PRINTED
    with pytest.raises(BuildError):
        build(base(), session, "run")
    assert session.slot.layers == ["dddddddddddd"]
    engine.error = None
    build(base(), session, "run")
    assert session.slot.layers == []

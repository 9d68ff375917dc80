"""A base's recipe and build, with an engine that only says what it has and prints."""

from __future__ import annotations

import pytest

from salt_ubiq import dockerfile
from salt_ubiq.catalogue import Base
from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import BuildError, EngineError
from salt_ubiq.redact import Redactor
from salt_ubiq.site import Site
from salt_ubiq.workspace import Workspace

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

    def image(self, reference):
        image_id = self.has.get(reference)
        return ImageInfo(image_id, {}, 1) if image_id else None

    existing = image

    def pull(self, reference):
        self.pulled.append(reference)
        if reference not in self.registry:
            raise EngineError(f"can't pull {reference}: not found")
        self.has[reference] = self.registry[reference]

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
def site(engine, tmp_path):
    workspace, log = Workspace(str(tmp_path / "cache")), []
    with workspace.slot() as slot:
        yield Site(
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


def changes(site, base, then, known=None):
    """What is said of a base after something was done to its context."""
    before = dockerfile.recipe_of(base, site, known or {})
    then()
    return dockerfile.recipe_of(base, site, known or {}).changes_since(before)


def test_the_same_context_is_the_same_recipe(site, base):
    assert changes(site, base(), lambda: None) == []


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
def test_each_file_of_the_context_counts(site, base, context, change, reason):
    (said,) = changes(site, base(), lambda: change(context))
    assert said == f"{context}/{reason}"


def test_what_the_engine_is_not_sent_does_not_count(site, base, context):
    (context / ".dockerignore").write_text("# a comment\n\n*.tmp\nfiles\n!files/one\n")
    assert changes(site, base(), lambda: (context / "a.tmp").write_text("")) == []
    assert changes(site, base(), lambda: (context / "files" / "two").write_text("")) == []
    assert len(changes(site, base(), lambda: (context / "files" / "one").write_text(""))) == 1


def test_another_image_below_counts_under_its_name(site, base, engine, context):
    (context / "Dockerfile").write_text("ARG FROM\nFROM $FROM\nCOPY --from=tools:1 /a /a\n")
    declared = base(buildargs={"FROM": "debian:12"})
    engine.has["tools:1"] = "sha256:tools"
    recipe = dockerfile.recipe_of(declared, site, {})
    assert recipe.parent == {"debian:12": "sha256:debian", "tools:1": "sha256:tools"}
    said = changes(site, declared, lambda: engine.has.update({"tools:1": "sha256:other"}))
    assert said == ["parent tools:1 changed"]


def test_what_is_not_on_the_engine_any_more_has_not_changed(site, base, engine):
    known = {"debian:12": "sha256:debian"}
    assert changes(site, base(), engine.has.clear, known) == []


def test_what_is_bootstrapped_is_known_by_how_it_is_made(site, base, engine):
    made = {"image": "debian:12", "suite": "bookworm", "variant": "minbase"}
    declared = base(bootstrap=made)
    assert changes(site, declared, lambda: engine.has.update({"debian:12": "sha256:new"})) == []
    other = dockerfile.recipe_of(base(bootstrap={**made, "variant": "apt"}), site, {})
    said = other.changes_since(dockerfile.recipe_of(declared, site, {}))
    assert said == ["parent debian:12 changed"]


def test_a_context_without_a_dockerfile_names_the_place(site, base, context):
    (context / "Dockerfile").unlink()
    with pytest.raises(BuildError) as caught:
        dockerfile.recipe_of(base(), site, {})
    assert str(caught.value) == (
        f"ubiq:bases:small:dockerfile: there is no Dockerfile in {context}"
    )


# Builds


def test_a_base_is_built_from_what_its_last_stage_is_from(site, base, engine, context):
    engine.has["nginx"] = "sha256:nginx"
    (context / "Dockerfile").write_text("FROM nginx AS made\nFROM debian:12\n")
    built = dockerfile.build(base(), site, "run")
    assert built.parent.id == "sha256:debian"
    assert built.recipe.parent == {"nginx": "sha256:nginx", "debian:12": "sha256:debian"}
    (arguments,) = engine.builds
    assert arguments["labels"]["org.salt-ubiq.recipe"] == built.recipe.digest
    assert arguments["labels"]["org.opencontainers.image.base.name"] == "debian:12"
    assert (arguments["tag"], arguments["nocache"]) == (site.slot.reference, False)


def test_a_base_from_scratch_has_no_parent(site, base, engine, context):
    (context / "Dockerfile").write_text("FROM scratch\nCOPY files /\n")
    assert dockerfile.build(base(), site, "run").parent is None


def test_what_is_missing_is_pulled_and_with_anew_everything_is(site, base, engine, context):
    (context / "Dockerfile").write_text("FROM debian:12\nCOPY --from=tools:1 /a /a\n")
    engine.registry = {"tools:1": "sha256:tools", "debian:12": "sha256:newer"}
    dockerfile.build(base(), site, "run")
    assert engine.pulled == ["tools:1"]
    built = dockerfile.build(base(), site, "run", anew=True)
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
    site, base, context, text, instruction
):
    (context / "Dockerfile").write_text(text)
    with pytest.raises(BuildError) as caught:
        dockerfile.build(base(), site, "run")
    assert str(caught.value).startswith(
        f"ubiq:bases:small:dockerfile: {instruction}: can't pull gone:1: not found; "
    )


def test_what_is_printed_goes_to_the_log(site, base):
    dockerfile.build(base(), site, "run")
    assert site.known["log"] == PRINTED.splitlines()


def test_a_failure_says_at_which_step_with_what_that_printed(site, base, engine):
    engine.prints = "".join(PRINTED.splitlines(keepends=True)[:6])
    engine.error = "The command '/bin/sh -c one' returned a non-zero code: 3\n"
    with pytest.raises(BuildError) as caught:
        dockerfile.build(base(), site, "run")
    assert str(caught.value) == (
        "small: the Dockerfile fails at step 2/4, RUN one: "
        "The command '/bin/sh -c one' returned a non-zero code: 3\n  one\n  two"
    )


def test_a_failure_before_any_step_says_so(site, base, engine):
    engine.prints, engine.error = "", "dockerfile parse error"
    with pytest.raises(BuildError) as caught:
        dockerfile.build(base(), site, "run")
    assert str(caught.value) == (
        "small: the Dockerfile fails before its first step: dockerfile parse error"
    )


def test_layers_are_known_to_be_nobody_elses_while_they_are(site, base, engine):
    """Until the build succeeds; those before a cached step are another build's, too."""
    lines = PRINTED.splitlines(keepends=True)
    seen = {}
    for count in range(len(lines)):
        engine.prints, engine.error = "".join(lines[:count]), "killed"
        with pytest.raises(BuildError):
            dockerfile.build(base(), site, "run")
        seen[count] = site.slot.layers
    assert seen[7] == []
    assert seen[8] == ["bbbbbbbbbbbb"]
    assert seen[10] == seen[11] == []
    engine.prints = PRINTED
    with pytest.raises(BuildError):
        dockerfile.build(base(), site, "run")
    assert site.slot.layers == ["dddddddddddd"]
    engine.error = None
    dockerfile.build(base(), site, "run")
    assert site.slot.layers == []

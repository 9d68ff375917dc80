"""Which images a Dockerfile takes, as Docker reads it."""

from __future__ import annotations

import textwrap

import pytest

from salt_ubiq.builds.origins import expanded, read


def stages(text, **buildargs):
    return read(textwrap.dedent(text), buildargs).stages


def test_each_stage_has_its_image():
    text = "FROM debian:12 AS one\nRUN true\nFROM nginx\nCOPY --from=one /a /a\n"
    found = read(text, {})
    assert found.stages == ("debian:12", "nginx")
    assert found.parent == "nginx"
    assert found.images == ("debian:12", "nginx")


def test_a_stage_from_another_is_from_what_that_is_from():
    text = "FROM debian:12 AS one\nFROM one AS two\nFROM nginx\nFROM two\n"
    found = read(text, {})
    assert found.stages == ("debian:12", "debian:12", "nginx", "debian:12")
    assert found.images == ("debian:12", "nginx")


def test_names_of_stages_know_no_case():
    assert stages("FROM debian:12 AS Build\nFROM bUILD\n") == ("debian:12", "debian:12")


def test_a_name_counts_only_after_its_stage():
    assert stages("FROM nginx AS nginx\nFROM nginx\n") == ("nginx", "nginx")
    assert stages("FROM later\nFROM debian:12 AS later\n") == ("later", "debian:12")


def test_scratch_is_no_image():
    found = read("FROM scratch AS empty\nFROM empty\n", {})
    assert (found.stages, found.parent, found.images) == ((None, None), None, ())


def test_a_file_without_a_stage_has_no_parent():
    assert read("# nothing\n", {}).parent is None


@pytest.mark.parametrize(
    "line",
    [
        "from debian:12",
        "  FROM debian:12",
        "\tFrom\tdebian:12",
        "FROM --platform=linux/arm64 debian:12",
        "FROM --platform=$BUILDPLATFORM debian:12 AS one",
        'FROM "debian:12"',
        "FROM 'debian:12' as one",
        "FROM debian:12  ",
        "FROM debian:12\r",
        "\ufeffFROM debian:12",
        "FROM \\\n  debian:12",
        "FROM \\  \n  debian:12 \\\n AS one",
        "FROM \\\n# which\n\n   # indented\n  debian:12",
        "FROM \\\r\n  debian:12\r\n",
        "FRO\\\nM debian:12",
    ],
)
def test_spelling_counts_as_little_as_for_docker(line):
    assert stages(f"{line}\n") == ("debian:12",)


@pytest.mark.parametrize(
    "text",
    [
        "# FROM nginx",
        "   # FROM nginx",
        "RUN echo \\\n  FROM nginx",
        "RUN echo \\\n# in between\n  FROM nginx",
        "RUN echo \\\n\n  FROM nginx",
        "RUN echo a \\\n && echo \\\nFROM nginx",
        "ONBUILD RUN echo FROM nginx",
        "LABEL FROM=nginx",
        "FROMAGE nginx",
        # other line ends than Docker's
        "RUN echo \u2028FROM nginx",
        "RUN echo \x0bFROM nginx",
        "RUN echo \x85FROM nginx",
    ],
)
def test_what_only_looks_like_a_from_is_none(text):
    assert stages(f"FROM debian:12\n{text}\n") == ("debian:12",)


@pytest.mark.parametrize(
    "text",
    [
        "RUN <<EOF\nFROM nginx\nEOF",
        "RUN <<-EOF\n\tFROM nginx\n\tEOF",
        "RUN <<'EOF' bash -e\nFROM nginx\nEOF",
        'COPY <<"EOF" /etc/file\nFROM nginx\nEOF',
        "ADD <<a <<b /etc/\nFROM nginx\na\nFROM nginx\nb",
        "RUN 3<<EOF cat <&3\nFROM nginx\nEOF",
        "run \\\n <<EOF\nFROM nginx\nEOF",
        "ONBUILD RUN <<EOF\nFROM nginx\nEOF",
        "RUN <<EOF\nFROM nginx\n EOF\nFROM nginx\nEOF",
    ],
)
def test_a_heredoc_is_no_instruction(text):
    assert stages(f"FROM debian:12\n{text}\nFROM busybox\n") == ("debian:12", "busybox")


@pytest.mark.parametrize(
    "line",
    [
        'RUN echo "<<EOF"',
        "RUN echo ' <<EOF '",
        "RUN cat <<< EOF",
        "RUN echo it's <<EOF",
        "LABEL a=b <<EOF",
        "RUN echo $((1 << 2))",
    ],
)
def test_what_only_looks_like_a_heredoc_is_none(line):
    assert stages(f"FROM debian:12\n{line}\nFROM nginx\n") == ("debian:12", "nginx")


def test_the_escape_character_can_be_set():
    text = (
        "# syntax=docker/dockerfile:1\n# Escape = `\nFROM `\n debian:12\nRUN dir C:\\\nFROM nginx"
    )
    assert stages(text) == ("debian:12", "nginx")


@pytest.mark.parametrize("before", ["# a comment\n", "\n", "ARG A\n", "# unknown=1\n"])
def test_a_directive_counts_only_at_the_top(before):
    assert stages(f"{before}# escape=`\nFROM debian:12\nRUN a `\nFROM nginx\n") == (
        "debian:12",
        "nginx",
    )


def test_an_escaped_escape_character_continues_no_line():
    assert stages("FROM debian:12\nRUN dir C:\\\\\nFROM nginx\n") == ("debian:12", "nginx")


# Arguments


def test_an_argument_is_the_builds_or_its_default():
    text = "ARG FROM=debian:12\nFROM ${FROM}\n"
    assert stages(text) == ("debian:12",)
    assert stages(text, FROM="nginx") == ("nginx",)
    assert stages("ARG FROM\nFROM $FROM\n", FROM="nginx") == ("nginx",)


def test_what_is_not_declared_before_the_first_stage_is_unknown_to_from():
    text = "ARG TAG=12\nFROM debian:$TAG\nARG TAG=13\nFROM debian:$TAG\nARG IMAGE\nFROM a$IMAGE\n"
    assert stages(text, IMAGE="nginx") == ("debian:12", "debian:12", "a")


@pytest.mark.parametrize(
    ("declared", "reference"),
    [
        ("ARG TAG=12", "debian:12"),
        ('ARG TAG="12"', "debian:12"),
        ("ARG TAG='12'", "debian:12"),
        ("arg TAG=12-slim\\\n-more", "debian:12-slim-more"),
        ("ARG SUITE=12\nARG TAG=${SUITE}-slim", "debian:12-slim"),
        ("ARG SUITE=12 TAG=$SUITE-slim", "debian:12-slim"),
        ("ARG SUITE=12\nARG TAG='$SUITE'", "debian:$SUITE"),
        ("ARG TAG=11\nARG TAG=12", "debian:12"),
        ("ARG TAG=", "debian:"),
    ],
)
def test_a_default_may_have_quotes_and_other_arguments(declared, reference):
    assert stages(f"{declared}\nFROM debian:${{TAG}}\n") == (reference,)


def test_a_default_sees_the_builds_value_of_another_argument():
    text = "ARG SUITE=12\nARG TAG=$SUITE-slim\nFROM debian:$TAG\n"
    assert stages(text, SUITE="13") == ("debian:13-slim",)


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("$set", "1.2.3"),
        ("${set}", "1.2.3"),
        ("a$set-b", "a1.2.3-b"),
        ("a${unset}b", "ab"),
        ("$unset", ""),
        ("${set:-word}", "1.2.3"),
        ("${unset:-word}", "word"),
        ("${empty:-word}", "word"),
        ("${empty-word}", ""),
        ("${unset-word}", "word"),
        ("${unset:-${set}}", "1.2.3"),
        ("${unset:-${nothing:-word}}", "word"),
        ("${unset:-a:b/c}", "a:b/c"),
        ("${set:+word}", "word"),
        ("${empty:+word}", ""),
        ("${empty+word}", "word"),
        ("${unset+word}", ""),
        ("${set:?has to be set}", "1.2.3"),
        ("${set#*.}", "2.3"),
        ("${set##*.}", "3"),
        ("${set%.*}", "1.2"),
        ("${set%%.*}", "1"),
        ("${set#?.}", "2.3"),
        ("${set%nothing}", "1.2.3"),
        ("${set/./-}", "1-2.3"),
        ("${set//./-}", "1-2-3"),
        ("\\$set", "$set"),
        ("'$set'", "$set"),
        ('"$set"', "1.2.3"),
        ('"\\$set"', "$set"),
        ('"a\\b"', "a\\b"),
        ("a\\b", "ab"),
        ("a$", "a$"),
        # What is not closed is for Docker to tell.
        ("${set", "1.2.3"),
        ("'set", "set"),
        ("${unset:-word", "word"),
    ],
)
def test_variables_are_replaced_as_docker_does_it(word, result):
    assert expanded(word, {"set": "1.2.3", "empty": ""}) == result


def test_with_another_escape_character_a_backslash_is_one():
    assert expanded("a\\`$set", {"set": "1"}, escape="`") == "a\\$set"


# Images that files are copied from


def test_an_image_that_files_are_copied_from_counts():
    text = """\
        FROM debian:12 AS made
        COPY --from=busybox:1 /bin/sh /bin/sh
        FROM nginx
        COPY --chown=1:1 --from=MADE /a /a
        COPY --from=0 ["/a", "/b"]
        COPY --from=nginx /a /c
        COPY a --from=none
        COPY a b
    """
    found = read(textwrap.dedent(text), {})
    assert found.copied == ("busybox:1", "nginx")
    assert found.images == ("debian:12", "nginx", "busybox:1")

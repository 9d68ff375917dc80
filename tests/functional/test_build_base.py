"""Bases from Dockerfiles, on a real engine."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, DEBIAN, IMAGES
from tests.support.mirror import PASSWORD, USERNAME, closed_mirror


def declare(host, **base):
    declaration = {
        "repository": f"{IMAGES}small",
        "dockerfile": "salt://context",
        "buildargs": {"FROM": BASE},
        **base,
    }
    host.pillar({"ubiq": {"bases": {"test-small": declaration}}})


@pytest.fixture
def context(host):
    """A build context on the file server, with a file below a directory."""
    host.file(
        "context/Dockerfile",
        "ARG FROM\nFROM ${FROM}\nARG WORD=none\nCOPY files /srv\nRUN echo $WORD > /srv/word\n",
    )
    host.file("context/files/below/one", "from the file server\n")
    return host


def test_a_context_comes_from_the_file_server_with_what_is_below_it(context, run_in):
    declare(context, buildargs={"FROM": BASE, "WORD": "given"})
    built = context.call("ubiq_docker.build_base", "test-small")
    assert run_in(built["image"], "cat", "/srv/below/one", "/srv/word") == (
        "from the file server\ngiven"
    )


def test_a_context_is_a_directory_of_the_host(host, tmp_path: Path, run_in):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "Dockerfile").write_text(f"FROM {BASE}\nRUN echo here > /srv/word\n")
    declare(host, dockerfile=str(tmp_path / "here"))
    built = host.call("ubiq_docker.build_base", "test-small")
    assert run_in(built["image"], "cat", "/srv/word") == "here"


def test_every_tag_points_to_the_image_which_stays_where_nothing_changed(context, engine):
    declare(context, tags=["1", "1.2", "latest"])
    built = context.call("ubiq_docker.build_base", "test-small")
    for tag in ("1", "1.2", "latest"):
        image = engine.inspect_image(f"{IMAGES}small:{tag}")
        assert image["Id"] == built["id"]
        assert image["Config"]["Labels"]["org.salt-ubiq.image"] == "test-small"
    again = context.call("ubiq_docker.build_base", "test-small")
    assert built["old_id"] is None
    assert again["old_id"] == again["id"] == built["id"]


def test_a_base_says_what_it_was_built_from_and_when(host, engine, image_of):
    """Of several stages, the last one's; a line that only begins like a FROM is none."""
    # Named, so that what the first stage leaves in the engine's cache is known to be a test's.
    first = image_of(f"FROM {DEBIAN}\nLABEL org.salt-ubiq.image=test-first\n", "first")
    host.file(
        "context/Dockerfile",
        f"FROM {first} AS made\nRUN echo one > /srv/one\n"
        f"FROM {BASE} AS last\nCOPY --from=made /srv/one /srv/one\n"
        "RUN echo \\\n  FROM nowhere > /srv/two\nFROM last\nLABEL of=test\n",
    )
    declare(host, tags=["7"])
    built = host.call("ubiq_docker.build_base", "test-small")
    base = engine.inspect_image(BASE)["Id"]
    assert built["parent"] == base
    labels = engine.inspect_image(built["id"])["Config"]["Labels"]
    oci = "org.opencontainers.image"
    assert labels[f"{oci}.base.name"] == BASE
    assert labels[f"{oci}.base.digest"] == base
    assert (labels[f"{oci}.title"], labels[f"{oci}.version"]) == ("test-small", "7")
    age = datetime.now(timezone.utc) - datetime.fromisoformat(
        labels[f"{oci}.created"].replace("Z", "+00:00")
    )
    assert timedelta(seconds=-1) < age < timedelta(minutes=5)
    run = labels["org.salt-ubiq.run"]
    assert run != engine.inspect_image(BASE)["Config"]["Labels"]["org.salt-ubiq.run"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run)


def test_another_image_to_copy_files_from_is_a_reason_to_build(host, engine, image_of, run_in):
    other = image_of(f"FROM {DEBIAN}\nRUN echo one > /srv/one\n", "other")
    host.file("context/Dockerfile", f"FROM {BASE}\nCOPY --from={other} /srv/one /srv/one\n")
    declare(host)
    host.call("ubiq_docker.build_base", "test-small")
    image_of(f"FROM {DEBIAN}\nRUN echo two > /srv/one\n", "other")
    built = host.call("ubiq_docker.build_base", "test-small")
    assert built["reasons"] == [f"parent {other} changed"]
    assert built["parent"] == engine.inspect_image(BASE)["Id"]
    assert run_in(built["image"], "cat", "/srv/one") == "two"


def test_a_base_from_scratch_has_no_parent(host, engine):
    host.file("context/Dockerfile", "FROM scratch\nCOPY one /one\n")
    host.file("context/one", "one\n")
    declare(host, buildargs={})
    assert host.call("ubiq_docker.build_base", "test-small")["parent"] is None


def test_a_base_that_fails_a_check_leaves_nothing(context, engine):
    declare(context)
    old = context.call("ubiq_docker.build_base", "test-small")
    before = {image["Id"] for image in engine.images(all=True)}
    context.file("context/Dockerfile", f"FROM {BASE}\nRUN echo new > /srv/new\n")
    declare(context, verify=[{"file": "/srv/old"}], tags=["latest", "1"])
    with pytest.raises(CommandExecutionError, match="there is no /srv/old"):
        context.call("ubiq_docker.build_base", "test-small")
    assert {image["Id"] for image in engine.images(all=True)} == before
    assert engine.inspect_image(old["image"])["Id"] == old["id"]
    assert not engine.images(f"{IMAGES}small:1")


def test_a_failing_dockerfile_is_told_with_its_step_and_last_lines(context, engine):
    declare(context)
    engine.tag(BASE, f"{IMAGES}small")
    old = engine.inspect_image(BASE)
    layers = {image["Id"] for image in engine.images(all=True)}
    context.file(
        "context/Dockerfile",
        "ARG FROM\nFROM ${FROM}\nRUN echo fine > /srv/fine\nRUN echo out of luck; exit 3\n",
    )
    with pytest.raises(CommandExecutionError) as failure:
        context.call("ubiq_docker.build_base", "test-small")
    message = str(failure.value)
    fails = r"test-small: the Dockerfile fails at step 4/\d+, RUN echo out of luck; exit 3:"
    assert re.search(fails, message)
    assert "returned a non-zero code: 3\n  out of luck\nlog: " in message
    assert engine.inspect_image(f"{IMAGES}small")["Id"] == old["Id"]
    assert {image["Id"] for image in engine.images(all=True)} == layers


def test_a_context_without_dockerfile_names_the_place(host):
    declare(host, dockerfile="salt://nowhere")
    with pytest.raises(CommandExecutionError) as failure:
        host.call("ubiq_docker.build_base", "test-small")
    assert "ubiq:bases:test-small:dockerfile: there is no Dockerfile in salt://nowhere" in str(
        failure.value
    )


def test_a_missing_from_is_bootstrapped_and_the_password_of_its_mirror_stays_secret(
    host, engine, run_in
):
    made = f"{IMAGES}bootstrapped:12"
    host.file("context/Dockerfile", "ARG FROM\nFROM ${FROM}\n")
    packages = {"suite": "bookworm", "variant": "essential", "include": "hello"}
    with closed_mirror() as mirror:
        url = f"http://{USERNAME}:{quote(PASSWORD)}@{mirror.host}/debian"
        declare(
            host,
            buildargs={"FROM": made},
            bootstrap={"image": made, "mirror": url, **packages},
        )
        built = host.call("ubiq_docker.build_base", "test-small")
    assert run_in(built["image"], "hello", "-g", "from packages") == "from packages"
    sources = run_in(built["image"], "cat", "/etc/apt/sources.list")
    assert sources == f"deb http://{mirror.host}/debian bookworm main"
    secret = re.compile(rb"battery(@|%40)staple")
    assert any(b"mmdebstrap" in arguments for arguments in mirror.seen)
    assert not [arguments for arguments in mirror.seen if secret.search(arguments)]
    assert not secret.search(b"".join(engine.get_image(built["image"])))


def test_a_failing_bootstrap_says_why(host, engine):
    made = f"{IMAGES}bootstrapped:none"
    host.file("context/Dockerfile", f"FROM {made}\n")
    declare(host, bootstrap={"image": made, "suite": "no-such-suite"})
    with pytest.raises(CommandExecutionError) as failure:
        host.call("ubiq_docker.build_base", "test-small")
    assert f"mmdebstrap could not make {made}" in str(failure.value)
    assert "no-such-suite" in str(failure.value)
    assert engine.images(made) == []


def test_the_shipped_debian_base_has_what_salt_needs(base, run_in):
    assert run_in(base, "python3", "-c", "import apt; print('apt')") == "apt"
    assert run_in(base, "ls", "/var/lib/apt/lists") == ""
    assert run_in(base, "test", "-f", "/etc/ssl/certs/ca-certificates.crt") == ""
    assert DEBIAN.partition(":")[0] in run_in(base, "cat", "/etc/os-release")

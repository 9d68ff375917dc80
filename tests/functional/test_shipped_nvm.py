"""The shipped state nvm, with Node.js and npm as npm's registry has them."""

from __future__ import annotations

import hashlib
import platform
import tarfile

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import IMAGES
from tests.support.downloads import npm_package, served
from tests.support.shipped_services import STATES

ARCH = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
SHIPPED, OLDER, NPM = "22.23.3", "20.11.1", "10.9.9"
# Where nothing listens.
NOWHERE = "http://127.0.0.1:9/dist"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A directory that is laid out as npm's registry, with two versions of Node.js."""
    registry = tmp_path_factory.mktemp("registry")
    for version in (SHIPPED, OLDER):
        npm_package(registry, f"node-linux-{ARCH}", version)
    npm_package(registry, "npm", NPM)
    return registry


@pytest.fixture(scope="module")
def releases(packages, tmp_path_factory):
    """A directory that is laid out as a mirror of Node's releases, with the same versions."""
    mirror = tmp_path_factory.mktemp("mirror")
    unpacked = tmp_path_factory.mktemp("unpacked")
    for package, version in (
        ("npm", NPM),
        (f"node-linux-{ARCH}", SHIPPED),
        (f"node-linux-{ARCH}", OLDER),
    ):
        with tarfile.open(packages / package / "-" / f"{package}-{version}.tgz") as archive:
            archive.extractall(unpacked / version, filter="data")
    for version in (SHIPPED, OLDER):
        release = f"node-v{version}-linux-{ARCH}"
        archive = mirror / f"v{version}" / f"{release}.tar.xz"
        archive.parent.mkdir()
        with tarfile.open(archive, "w:xz", preset=0) as tar:
            tar.add(unpacked / version / "package" / "bin", f"{release}/bin")
            modules = f"{release}/lib/node_modules"
            tar.add(unpacked / NPM / "package", f"{modules}/npm")
            for program in ("npm", "npx"):
                link = tarfile.TarInfo(f"{release}/bin/{program}")
                link.type = tarfile.SYMTYPE
                link.linkname = f"../lib/node_modules/npm/bin/{program}-cli.js"
                tar.addfile(link)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        other = f"{'0' * 64}  node-v{version}-headers.tar.xz\n"
        (archive.parent / "SHASUMS256.txt").write_text(f"{other}{digest}  {archive.name}\n")
    return mirror


@pytest.fixture
def build(host):
    """``build(**nvm)``: build an image with the state nvm and this pillar."""
    host.opts["file_roots"] = {"base": [str(STATES), str(host.states)]}

    def build(**nvm):
        service = {"repository": f"{IMAGES}nvm", "base": "test-base", "mods": ["nvm"]}
        catalogue = {"bases": {"test-base": host.base}, "services": {"test-nvm": service}}
        host.pillar({"ubiq": catalogue, "nvm": nvm})
        return host.call("ubiq_docker.build_service", "test-nvm")

    return build


def test_the_shipped_version_comes_from_a_registry_of_npm(build, packages, engine, run_in):
    with served(engine, packages) as registry:
        built = build(registry=registry)
    assert built["warnings"] == []
    assert run_in(built["image"], "node", "--version") == f"v{SHIPPED}"
    assert run_in(built["image"], "npm", "--version") == NPM
    assert run_in(built["image"], "npx", "--version") == NPM
    assert run_in(built["image"], "stat", "-c", "%U", f"/opt/node/{SHIPPED}/bin/node") == "root"


def test_what_npm_installs_globally_is_on_the_path(build, packages, engine, run_in):
    with served(engine, packages) as registry:
        built = build(registry=registry)
    script = """
        mkdir /tmp/hello && cd /tmp/hello
        printf '#!/usr/bin/env node\\nconsole.log("hello from " + process.version)' > hello.js
        echo '{"name": "hello", "version": "1.0.0", "bin": "hello.js"}' > package.json
        npm install --global --offline --silent . && cd / && hello
    """
    assert run_in(built["image"], "sh", "-c", script).endswith(f"hello from v{SHIPPED}")


def test_named_versions_come_from_a_mirror_and_one_is_the_default(build, releases, engine, run_in):
    with served(engine, releases) as mirror:
        built = build(mirror=f"{mirror}/", versions=[SHIPPED, OLDER], default=OLDER)
    assert built["warnings"] == []
    assert run_in(built["image"], "node", "--version") == f"v{OLDER}"
    for version in (SHIPPED, OLDER):
        node = f"/opt/node/{version}/bin/node"
        assert run_in(built["image"], node, "--version") == f"v{version}"
    assert run_in(built["image"], "npm", "--version") == NPM


def test_a_file_that_is_not_what_shasums256_says_fails_the_build(build, releases, engine, tmp_path):
    directory = tmp_path / "mirror" / f"v{OLDER}"
    directory.mkdir(parents=True)
    name = f"node-v{OLDER}-linux-{ARCH}.tar.xz"
    (directory / name).symlink_to(releases / f"v{OLDER}" / name)
    (directory / "SHASUMS256.txt").write_text(f"{'1' * 64}  {name}\n")
    with (
        served(engine, tmp_path / "mirror") as mirror,
        pytest.raises(CommandExecutionError) as raised,
    ):
        build(mirror=mirror, versions=[OLDER])
    assert "1" * 64 in str(raised.value)
    assert name in str(raised.value)
    assert engine.images(f"{IMAGES}nvm") == []


def test_pillars_checksum_goes_before_the_mirrors(build, releases, engine):
    name = f"node-v{OLDER}-linux-{ARCH}.tar.xz"
    with served(engine, releases) as mirror, pytest.raises(CommandExecutionError) as raised:
        build(mirror=mirror, versions=[OLDER], checksums={name: f"sha256={'2' * 64}"})
    assert "2" * 64 in str(raised.value)


def test_a_registrys_file_with_another_checksum_fails_the_build(build, packages, engine):
    file = f"node-linux-{ARCH}-{SHIPPED}.tgz"
    checksum = "sha512-" + "A" * 86 + "=="
    with served(engine, packages) as registry, pytest.raises(CommandExecutionError) as raised:
        build(registry=registry, checksums={file: checksum})
    assert "0" * 128 in str(raised.value)


def test_a_mirror_out_of_reach_is_told_with_the_key_to_set(build):
    with pytest.raises(CommandExecutionError, match=f"{NOWHERE}.*: set pillar nvm:mirror"):
        build(mirror=NOWHERE, versions=[OLDER])


def test_a_registry_out_of_reach_is_told_with_the_keys_to_set(build):
    with pytest.raises(
        CommandExecutionError, match=f"{NOWHERE}.*: set pillar nvm:registry .* or nvm:mirror"
    ):
        build(registry=NOWHERE)


@pytest.mark.parametrize(
    ("nvm", "told"),
    [
        ({"versions": [OLDER]}, f"nvm:checksums has none for node-linux-{ARCH}-{OLDER}.tgz"),
        ({"versions": [22]}, "nvm: 22 is not a version"),
        ({"versions": []}, "nvm:versions is empty"),
        ({"default": OLDER}, f"nvm:default: {OLDER} is not in nvm:versions"),
    ],
)
def test_a_mistake_in_the_pillar_is_told_before_anything_is_fetched(build, nvm, told):
    with pytest.raises(CommandExecutionError, match=told):
        build(registry=NOWHERE, **nvm)

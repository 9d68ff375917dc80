"""Salt's functions in containers of images, and the packages that they find there."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from salt.exceptions import CommandExecutionError, SaltInvocationError

from salt_ubiq.catalogue.models import Runtime
from salt_ubiq.containers import salt_call
from salt_ubiq.containers.salt import SaltForBuilds
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import CallFailed, NoTools
from salt_ubiq.redact import Redactor
from salt_ubiq.upkeep import packages
from salt_ubiq.workspace.slots import Workspace
from tests.conftest import BASE, DEBIAN, IMAGES, build_leftovers

_ANONYMOUS = 64  # the length of the name of a volume that was given none


@pytest.fixture(scope="module")
def salt_in(module_host, cachedir):
    """``salt_in(reference)``: a context manager that gives a container of the image."""
    opts = module_host.modules.opts

    @contextmanager
    def start(reference, own_python=False, **more):
        engine, workspace = Engine(), Workspace(str(cachedir))
        source, image = None if own_python else Runtime(), engine.images.existing(reference)
        with workspace.slot() as slot:
            salt = SaltForBuilds(source, engine, workspace, Thin(workspace, {})).in_slot(slot)
            salt.prepare()
            session = BuildSession(
                engine=engine,
                workspace=workspace,
                slot=slot,
                opts=opts,
                log_path="",
                clean=Redactor({"password": "geheim"}),
                log_line=print,
            )
            with salt_call.container(
                image, reference, session, salt.surroundings, **more
            ) as container:
                yield container

    return start


@pytest.fixture(scope="module")
def debian(salt_in):
    """A container of an image that has no Python."""
    with salt_in(DEBIAN) as container:
        yield container


@pytest.fixture(scope="module")
def contents(debian):
    """The packages in it."""
    return packages.read(debian)


@pytest.fixture
def nothing_left(engine, cachedir):
    """No container, tag or volume is there that was not before."""

    def seen():
        names = [volume["Name"] for volume in engine.volumes()["Volumes"] or ()]
        workspace = (cachedir / "ubiq" / "id").read_text()
        anonymous = {name for name in names if len(name) == _ANONYMOUS}
        return build_leftovers(engine, workspace), anonymous

    before = seen()
    yield
    assert seen() == before


def dpkg_knows(run_in, reference):
    lines = run_in(
        reference, "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\\n"
    ).splitlines()
    return {tuple(line.split()) for line in lines}


def test_the_packages_of_an_image_without_python_are_those_that_dpkg_knows(contents, run_in):
    known = dpkg_knows(run_in, DEBIAN)
    assert contents.to_dict() == {name: version for name, version, _ in known}
    described = {(each.name, each.version, each.deb.architecture) for each in contents.packages}
    assert described == known


def test_the_sbom_of_an_image_is_valid_and_has_every_package(contents, run_in):
    at = datetime.now(timezone.utc)
    text = packages.sbom(contents, DEBIAN, Engine().images.existing(DEBIAN).id, at)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    found = [
        PackageURL.from_string(each["purl"])
        for each in json.loads(text)["components"]
        if "purl" in each
    ]
    known = dpkg_knows(run_in, DEBIAN)
    assert {(each.name, each.version, each.qualifiers["arch"]) for each in found} == known
    assert {(each.type, each.namespace) for each in found} == {("deb", "debian")}
    assert {each.qualifiers["distro"] for each in found} == {"debian-12"}


def test_without_the_runtime_salt_runs_with_the_images_python(base, salt_in, run_in):
    with salt_in(BASE, own_python=True) as container:
        contents = packages.read(container)
    assert contents.to_dict() == {name: version for name, version, _ in dpkg_knows(run_in, BASE)}


def test_an_image_with_a_program_a_user_and_a_healthcheck_of_its_own_is_looked_into(
    base, image_of, salt_in, nothing_left
):
    reference = image_of(
        f'FROM {DEBIAN}\nENTRYPOINT ["false"]\nUSER nobody\nVOLUME /data\nHEALTHCHECK CMD false\n',
        "odd",
    )
    with salt_in(reference) as container:
        assert container.call("cmd.run", "id -un") == "root"


def test_a_function_that_fails_says_which_of_what_image_and_no_secret(debian):
    with pytest.raises(CallFailed) as failure:
        debian.call("test.geheim")
    assert str(failure.value).startswith(f"{DEBIAN}: test.geheim: ")
    with pytest.raises(CallFailed) as failure:
        debian.call("test.exception", "geheim")
    assert "geheim" not in str(failure.value)


def test_an_image_of_no_known_kind_has_no_list(base, image_of, salt_in, nothing_left):
    gone = "/etc/debian_version /etc/os-release /usr/lib/os-release"
    reference = image_of(f"FROM {DEBIAN}\nRUN rm {gone}\n", "of-no-kind")
    with salt_in(reference) as container, pytest.raises(CallFailed) as failure:
        packages.read(container)
    assert str(failure.value) == (
        f"{reference}: pkg.list_pkgs: Salt has it for nothing that is in this image"
    )


def test_a_function_that_does_not_end_is_ended(base, salt_in, nothing_left):
    with (
        salt_in(DEBIAN, use=salt_call.Use(timeout=5)) as container,
        pytest.raises(CallFailed) as failure,
    ):
        container.call("test.sleep", 60)
    assert str(failure.value) == f"{DEBIAN}: test.sleep: not done in time"


def test_an_image_with_nothing_in_it_has_no_tools(images, engine, salt_in, nothing_left):
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("nothing"))
        engine.import_image_from_data(buffer.getvalue(), repository=f"{IMAGES}bare", tag="latest")
    with pytest.raises(NoTools), salt_in(f"{IMAGES}bare:latest"):
        pass


@pytest.mark.parametrize("name", ["test-base", BASE])
def test_the_function_takes_names_of_the_catalogue_and_references(
    module_host, run_in, nothing_left, name
):
    listed = module_host.call("ubiq_docker.packages", name)
    assert listed == {name: version for name, version, _ in dpkg_knows(run_in, BASE)}


def test_the_functions_sbom_names_the_image_and_its_id(module_host, engine):
    document = json.loads(module_host.call("ubiq_docker.packages", "test-base", fmt="cyclonedx"))
    described = document["metadata"]["component"]
    assert (described["name"], described["version"]) == (BASE, engine.inspect_image(BASE)["Id"])


def test_the_functions_sbom_can_be_had_as_a_file(module_host, tmp_path):
    path = str(tmp_path / "sbom.json")
    written = module_host.call("ubiq_docker.packages", "test-base", fmt="cyclonedx", dest=path)
    assert written == path
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert document["metadata"]["component"]["name"] == BASE


def test_an_image_that_is_not_there_and_a_format_that_is_none_are_said(module_host):
    with pytest.raises(CommandExecutionError) as failure:
        module_host.call("ubiq_docker.packages", "test/nothing")
    assert str(failure.value).startswith("test/nothing is not on the engine")
    with pytest.raises(SaltInvocationError):
        module_host.call("ubiq_docker.packages", "test-base", fmt="spdx")
    with pytest.raises(SaltInvocationError):
        module_host.call("ubiq_docker.packages", "test-base", dest="sbom.json")

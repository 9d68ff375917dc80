"""The list of packages, and the document about them."""

import json
from datetime import datetime, timezone

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from salt_ubiq.errors import UbiqError
from salt_ubiq.upkeep.packages import (
    Contents,
    Deb,
    Package,
    debs_of,
    os_release,
    sbom,
    write,
)

DEBIAN = {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
ID = f"sha256:{'a' * 64}"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def document(*packages, distribution=DEBIAN):
    text = sbom(Contents(packages, distribution), "team/web:7", ID, AT)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    return json.loads(text)


def purls(*packages, distribution=DEBIAN):
    components = document(*packages, distribution=distribution)["components"]
    return [each.get("purl") for each in components if each["type"] == "library"]


def test_the_document_names_image_id_time_and_tools():
    metadata = document()["metadata"]
    image = metadata["component"]
    assert (image["type"], image["name"], image["version"]) == ("container", "team/web:7", ID)
    assert metadata["timestamp"] == "2026-01-02T03:04:05+00:00"
    assert [tool["name"] for tool in metadata["tools"]["components"]] == ["salt", "salt-ubiq"]


def test_the_document_has_the_distribution_and_every_package():
    curl = Package("curl", "7.88.1-10", Deb("curl", "amd64", "curl", "7.88.1-10"))
    whole = document(curl, Package("other", "1"))
    described = [(each["type"], each["name"], each["version"]) for each in whole["components"]]
    assert sorted(described) == [
        ("library", "curl", "7.88.1-10"),
        ("library", "other", "1"),
        ("operating-system", "debian", "12"),
    ]
    image = next(each for each in whole["dependencies"] if each["ref"] == ID)
    assert len(image["dependsOn"]) == 3


@pytest.mark.parametrize(
    ("package", "distribution", "expected"),
    [
        (
            Package("less", "590-2", Deb("less", "amd64", "less", "590-2")),
            DEBIAN,
            "pkg:deb/debian/less@590-2?arch=amd64&distro=debian-12",
        ),
        (
            Package("vim-tiny", "2:9.0+1", Deb("vim-tiny", "arm64", "vim", "2:9.0+1")),
            {"ID": "ubuntu", "VERSION_ID": "24.04"},
            "pkg:deb/ubuntu/vim-tiny@2:9.0%2B1?arch=arm64&distro=ubuntu-24.04&upstream=vim",
        ),
        (
            Package("libc6:i386", "2.36-9+b1", Deb("libc6", "i386", "glibc", "2.36-9")),
            {"ID": "debian", "VERSION_CODENAME": "sid"},
            "pkg:deb/debian/libc6@2.36-9%2Bb1?arch=i386&distro=debian-sid&upstream=glibc%402.36-9",
        ),
        (Package("bash", "5.2-1.fc40"), {"ID": "fedora", "VERSION_ID": "40"}, None),
        (Package("less", "590-2", Deb("less", "amd64", "less", "590-2")), {}, None),
    ],
)
def test_a_deb_has_a_package_url(package, distribution, expected):
    assert purls(package, distribution=distribution) == [expected]


def test_one_package_for_two_architectures_is_two_components():
    native, foreign = (Deb("libc6", arch, "glibc", "1") for arch in ("amd64", "i386"))
    found = purls(Package("libc6", "1", native), Package("libc6:i386", "1", foreign))
    assert len({*found}) == 2


def test_what_dpkg_prints_is_found_by_salts_names():
    printed = "libc6 amd64 glibc 1\nlibc6 arm64 glibc 1\nadduser all adduser 3\nodd\n"
    debs = debs_of(printed, native="arm64")
    assert debs["libc6"].architecture == "arm64"
    assert debs["libc6:amd64"].architecture == "amd64"
    assert debs["adduser"] == Deb("adduser", "all", "adduser", "3")
    assert "odd" not in debs


def test_an_os_release_is_read_with_its_quotes():
    text = "# comment\nID=debian\nPRETTY_NAME=\"Debian 'x'\"\nNAME='a b'\n\nBROKEN=\"\nodd\n"
    assert os_release(text) == {"ID": "debian", "PRETTY_NAME": "Debian 'x'", "NAME": "a b"}


def test_the_list_has_all_versions_of_a_package():
    contents = Contents((Package("a", "1"), Package("kernel", "1"), Package("kernel", "2")), {})
    assert contents.to_dict() == {"a": "1", "kernel": "1,2"}


def test_what_is_written_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "sbom.json"
    target.write_text("old")
    assert write("{}", str(target)) == str(target)
    assert target.read_text() == "{}\n"
    assert write({"nginx": "1.22"}, str(target)) == str(target)
    assert json.loads(target.read_text()) == {"nginx": "1.22"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_cannot_be_written_is_told_with_its_path(tmp_path):
    target = tmp_path / "nowhere" / "sbom.json"
    with pytest.raises(UbiqError, match=f"{target} can't be written: No such file"):
        write("{}", str(target))
    (tmp_path / "directory").mkdir()
    with pytest.raises(UbiqError, match="can't be written: Is a directory"):
        write("{}", str(tmp_path / "directory"))
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]

"""Python packages for the runtime, as this host's pip fetches them."""

import io
import tarfile
import zipfile

import pytest

from salt_ubiq.containers.runtime_packages import PythonKind, fetched
from salt_ubiq.errors import BuildError

KIND = PythonKind("3.11", "x86_64", "2.18")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A directory of wheels that is all pip may look at."""
    for setting in ("FIND_LINKS", "EXTRA_INDEX_URL", "INDEX_URL", "CONSTRAINT"):
        monkeypatch.delenv(f"PIP_{setting}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def wheel(index, tags, name="probe"):
    info = f"{name}-1.dist-info"
    with zipfile.ZipFile(index / f"{name}-1-{tags}.whl", "w") as made:
        made.writestr(f"{name}.py", "word = 'probe'\n")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        made.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        made.writestr(f"{info}/RECORD", "")


def names(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as content:
        assert {(each.uid, each.uname) for each in content} == {(0, "root")}
        return content.getnames()


@pytest.mark.parametrize(
    "tags",
    [
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp38-abi3-manylinux_2_5_x86_64",
        "cp311-cp311-manylinux1_x86_64",
    ],
)
def test_a_wheel_is_taken_that_the_runtimes_python_can_use(index, tags):
    wheel(index, tags)
    found = names(fetched(["probe==1"], KIND))
    assert "./probe.py" in found
    assert not [name for name in found if name.endswith(".pyc")]


@pytest.mark.parametrize(
    "tags",
    [
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_17_aarch64",
        "cp311-cp311-musllinux_1_1_x86_64",
    ],
)
def test_one_that_it_cannot_use_is_not_and_the_error_says_what_pip_says(index, tags):
    wheel(index, tags)
    with pytest.raises(BuildError) as failure:
        fetched(["probe==1"], KIND)
    assert str(failure.value) == (
        "ubiq:runtime:pip: pip can't fetch wheels for Python 3.11 on x86_64: "
        "No matching distribution found for probe==1"
    )


def test_with_another_c_library_only_what_needs_none_is_taken(index):
    wheel(index, "py3-none-any")
    wheel(index, "cp311-cp311-manylinux_2_17_x86_64", "in_c")
    kind = PythonKind("3.11", "x86_64", "")
    assert "./probe.py" in names(fetched(["probe"], kind))
    with pytest.raises(BuildError, match="in_c"):
        fetched(["in_c"], kind)


def test_the_kind_of_this_hosts_python_is_known():
    assert PythonKind.of_this_host().platforms[0].startswith("manylinux_2_")


def test_a_python_that_says_nothing_of_itself_is_an_error():
    with pytest.raises(BuildError, match=r"ubiq:runtime:pip: no telling .* python3: not found"):
        PythonKind.read("python3: not found")

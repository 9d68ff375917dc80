"""
What users install: the sdist, the wheel, and Salt with and without the wheel.

Everything is built from a copy of the repository, so nothing is written into it.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import REPOSITORY, copy_to

SCRIPTS = Path(sysconfig.get_path("scripts"))
SITE_PACKAGES = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
# What these names begin belongs to the salt-ubiq that the tests run with.
OURS = ("salt_ubiq", "salt-ubiq", "__editable__")
TIMEOUT = 120  # seconds, for what takes a few

FUNCTIONS = {"check", "catalogue", "build_base", "build_service"}
STATES = {"base_built", "service_built"}
INSTALL_IT = "install salt-ubiq"

# What a release needs to be built, run and tested from its sdist.
SHIPPED = (
    "src _modules _states _runners _docker pillar tests tools .ci "
    "Makefile LICENSE README.md CHANGELOG.md noxfile.py setup.cfg pyproject.toml"
).split()

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / ".git").exists(), reason="git says which files are the repository's"
)


def run(*command: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, free of what this process's Python environment says."""
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        **kwargs,
    )


def succeed(*command: object, **kwargs: Any) -> str:
    """Run a command that has to succeed and return what it prints."""
    done = run(*command, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Salt:
    """Salt's own programs, run by the Python of one environment, with a config of their own."""

    def __init__(self, python: Path, directory: Path, repository: Path, **config: Any) -> None:
        self.python = python
        self._config = directory / "etc"
        self._config.mkdir(parents=True)
        text = json.dumps(
            {
                "id": "packaged",
                "user": pwd.getpwuid(os.geteuid()).pw_name,
                "root_dir": str(directory),
                "file_client": "local",
                "file_roots": {"base": [str(repository)]},
                "pillar_roots": {"base": [str(repository / "pillar")]},
                **config,
            }
        )
        for name in ("minion", "master"):
            (self._config / name).write_text(text)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``salt-call --local``."""
        return self._run("salt-call", "--local", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``salt-run``."""
        return self._run("salt-run", *words)

    def returned(self, function: str, *args: str) -> Any:
        """Return what ``salt-call --local`` returns, which has to succeed."""
        done = self.call("--out", "json", function, *args)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["local"]

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        options = ("--config-dir", self._config, "--log-level", "quiet")
        return run(self.python, SCRIPTS / program, *options, *words, cwd=self._config)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's files."""
    return copy_to(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def dist(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist and, built from that, the wheel."""
    directory = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--outdir", directory, repository)
    return directory


@pytest.fixture(scope="module")
def sdist(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist's content."""
    (archive,) = dist.glob("*.tar.gz")
    directory = tmp_path_factory.mktemp("sdist")
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    (content,) = directory.iterdir()
    return content


@pytest.fixture(scope="module")
def salt_without(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Salt:
    """Salt and all that salt-ubiq needs, but not salt-ubiq."""
    directory = tmp_path_factory.mktemp("without")
    # Without salt-ubiq, salt-run needs the directory that a master's daemon would have made.
    (directory / "root/var/cache/salt/master/proc").mkdir(parents=True)
    return Salt(_environment(directory / "venv"), directory / "root", repository)


@pytest.fixture(scope="module")
def salt_with(dist: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Salt:
    """Salt in an environment where the wheel was installed."""
    directory = tmp_path_factory.mktemp("with")
    python = _environment(directory / "venv")
    (wheel,) = dist.glob("*.whl")
    # Without an index, pip also fails where what the wheel requires isn't there.
    succeed(python, "-m", "pip", "install", "--quiet", "--no-index", wheel)
    return Salt(python, directory / "root", repository)


def _environment(directory: Path) -> Path:
    """Make a venv that has what is installed here, without salt-ubiq; return its Python."""
    venv.create(directory, with_pip=False, symlinks=True)
    seen = directory / "seen"
    seen.mkdir()
    for entry in (entry for site in SITE_PACKAGES for entry in site.iterdir()):
        if not entry.name.startswith(OURS):
            (seen / entry.name).symlink_to(entry)
    base = {"base": str(directory), "platbase": str(directory)}
    purelib = Path(sysconfig.get_path("purelib", "venv", base))
    (purelib / "seen.pth").write_text(f"{seen}\n")
    return directory / "bin" / "python"


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


# The sdist


@pytest.mark.parametrize("name", SHIPPED)
def test_the_sdist_has_all_files_of(name: str, repository: Path, sdist: Path) -> None:
    if not (repository / name).exists():
        pytest.skip(f"the repository has no {name}")
    shipped = {file for file in files(repository) if Path(file).is_relative_to(name)}
    assert shipped - files(sdist) == set()


def test_programs_of_the_sdist_are_executable(repository: Path, sdist: Path) -> None:
    programs = {name for name in files(repository) if os.access(repository / name, os.X_OK)}
    assert "tools/salt-here" in programs
    assert {name for name in programs if not os.access(sdist / name, os.X_OK)} == set()


def test_nothing_is_in_the_sdist_that_the_repository_has_not(repository: Path, sdist: Path) -> None:
    extra = files(sdist) - files(repository)
    assert {name for name in extra if ".egg-info/" not in name} == {"PKG-INFO"}


# Salt with the wheel


def test_the_wheel_has_the_whole_package(repository: Path, salt_with: Salt) -> None:
    code = "import salt_ubiq; print(*salt_ubiq.__path__)"
    installed = Path(succeed(salt_with.python, "-c", code).strip())
    assert not installed.is_relative_to(REPOSITORY / "src")
    assert files(repository / "src" / "salt_ubiq") - files(installed) == set()


def test_salt_has_the_execution_module(salt_with: Salt) -> None:
    functions = salt_with.returned("sys.list_functions", "ubiq_docker")
    assert {f"ubiq_docker.{name}" for name in FUNCTIONS} <= set(functions)


def test_salt_has_the_states(salt_with: Salt) -> None:
    functions = salt_with.returned("sys.list_state_functions", "ubiq_docker")
    assert {f"ubiq_docker.{name}" for name in STATES} <= set(functions)


def test_salt_has_the_runner(salt_with: Salt) -> None:
    assert "ubiq.catalogue" in salt_with.returned("sys.list_runner_functions", "ubiq")


def test_every_function_has_a_text_that_says_what_it_does(salt_with: Salt) -> None:
    texts = {
        **salt_with.returned("sys.doc", "ubiq_docker"),
        **salt_with.returned("sys.state_doc", "ubiq_docker"),
        **salt_with.returned("sys.runner_doc", "ubiq"),
    }
    expected = {f"ubiq_docker.{name}" for name in FUNCTIONS | STATES} | {"ubiq.catalogue"}
    assert {name for name in expected if not (texts.get(name) or "").strip()} == set()


def test_the_minion_and_the_master_side_see_the_same_catalogue(salt_with: Salt) -> None:
    images = salt_with.returned("ubiq_docker.catalogue")
    assert images["bases"]
    assert images["services"]
    done = salt_with.run("--out", "json", "ubiq.catalogue")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == images


def test_the_runner_shows_a_mistake_without_a_traceback(
    salt_with: Salt, repository: Path, tmp_path: Path
) -> None:
    wrong = {"services": {"web": {}}}
    salt = Salt(salt_with.python, tmp_path, repository, ubiq=wrong, pillar_roots={"base": []})
    done = salt.run("ubiq.catalogue")
    assert done.returncode != 0
    assert "ubiq:services:web:mods: missing, this key is required" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# Salt without it, and the modules synced from the repository


@pytest.fixture(scope="module")
def synced(salt_without: Salt) -> Salt:
    """Salt without salt-ubiq, with the repository's modules synced."""
    modules = salt_without.returned("saltutil.sync_all")
    assert "modules.ubiq_docker" in modules["modules"]
    assert "states.ubiq_docker" in modules["states"]
    done = salt_without.run("--out", "json", "saltutil.sync_runners")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == ["runners.ubiq"]
    return salt_without


def test_a_synced_execution_module_says_to_install_the_package(synced: Salt) -> None:
    done = synced.call("ubiq_docker.check")
    assert done.returncode != 0
    assert INSTALL_IT in done.stdout + done.stderr


def test_a_synced_state_says_to_install_the_package(synced: Salt, tmp_path: Path) -> None:
    sls = tmp_path / "images.sls"
    sls.write_text("debian-python:\n  ubiq_docker.base_built: []\n")
    done = synced.call("state.template", str(sls))
    assert done.returncode != 0
    assert "Failed:    1" in done.stdout
    assert INSTALL_IT in done.stdout


def test_a_synced_runner_says_to_install_the_package(synced: Salt) -> None:
    """The exit status tells nothing: salt-run's is 0 for a runner that it can't load."""
    done = synced.run("ubiq.catalogue")
    assert INSTALL_IT in done.stdout

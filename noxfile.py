"""The checks of `make test`, one session each, in environments of their own."""

import nox

nox.options.sessions = ["lint", "types", "unit"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".", "import-linter", "ruff", "salt-lint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("lint-imports", "--no-logo")
    files = session.run("git", "ls-files", "*.sls", external=True, silent=True)
    session.run("salt-lint", *files.split())


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def unit(session: nox.Session) -> None:
    session.install("-e", ".[tests]")
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("suite", ["functional", "integration"])
def engine(session: nox.Session, suite: str) -> None:
    """The suites that need a Docker engine (tools/docker-engine)."""
    session.install("-e", ".[tests]")
    session.run("pytest", f"tests/{suite}", *session.posargs)


@nox.session
@nox.parametrize("salt", ["3006", "3007", "3008"])
def salt(session: nox.Session, salt: str) -> None:
    """Builds with other versions of Salt on the host; needs a Docker engine."""
    session.install("-e", ".[tests]", f"salt=={salt}.*")
    session.run("pytest", "tests/functional", "-k", "build_service or runtime", *session.posargs)

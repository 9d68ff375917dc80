"""The checks of `make test`, one session each, in environments of their own."""

import nox

nox.options.sessions = ["lint", "types", "unit"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# A package in C that Salt requires has no wheels: optimizing it takes a minute, and gains nothing.
FAST = {"CFLAGS": "-O0"}
SALTS = ["3006", "3007", "3008"]


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".", "import-linter", "ruff", "salt-lint", env=FAST)
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("lint-imports", "--no-logo")
    files = session.run("git", "ls-files", "*.sls", external=True, silent=True)
    session.run("salt-lint", *files.split())


@nox.session
def types(session: nox.Session) -> None:
    session.install("-e", ".[dev]", env=FAST)
    session.run("mypy")


@nox.session(python=PYTHONS)
def unit(session: nox.Session) -> None:
    session.install("-e", ".[tests]", env=FAST)
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("suite", ["functional", "integration"])
def engine(session: nox.Session, suite: str) -> None:
    """The suites that need a Docker engine (tools/docker-engine)."""
    session.install("-e", ".[tests]", env=FAST)
    session.run("pytest", f"tests/{suite}", *session.posargs)


@nox.session
@nox.parametrize("python,salt", [(python, salt) for salt in SALTS for python in PYTHONS])
def salt(session: nox.Session, salt: str) -> None:
    """Unit tests and builds with each version of Salt on the host; needs a Docker engine."""
    session.install("-e", ".[tests]", f"salt=={salt}.*", env=FAST)
    session.run("salt-call", "--version")
    session.run("pytest", "tests/unit", *session.posargs)
    session.run("pytest", "tests/functional", "-k", "build_service or runtime", *session.posargs)

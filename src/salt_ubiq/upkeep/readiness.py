"""
Is this host ready to build images, and if not, what is to be done?
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import CatalogueError, EngineError, PillarError

_PACKAGES = {
    "salt": "salt",
    "dockermod": "saltext.dockermod",
    "docker_sdk": "docker",
    "salt_ubiq": "salt-ubiq",
}


def check(
    functions: Mapping[str, Callable[..., Any]], images: Callable[[], Catalogue]
) -> dict[str, Any]:
    """
    Look at everything a build needs, and build nothing.

    functions
        Salt's ``__salt__``

    images
        returns the catalogue

    Returns ``{"ready": bool, "engine": …, "problems": [text, …], …}``.
    """
    problems: list[str] = []
    report: dict[str, Any] = {
        "ready": False,
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 1,
    }
    for key, package in _PACKAGES.items():
        report[key] = _version(package, problems)
    if "docker.sls_build" not in functions:
        problems.append(
            "Salt does not load docker.sls_build: pip install saltext.dockermod docker "
            "beside Salt, and see its log (salt-call -l debug sys.doc docker.sls_build)"
        )
    report["engine"] = _engine(functions, problems)
    report["images"] = _images(images, problems)
    report["problems"] = problems
    report["ready"] = not problems
    return report


def connect(functions: Mapping[str, Callable[..., Any]]) -> Engine:
    """The engine that Salt's docker module would use."""
    option = functions["config.option"]
    return Engine(option("docker.url", None), option("docker.version", "auto"))


def _version(package: str, problems: list[str]) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        problems.append(f"the Python package {package} is not installed: pip install {package}")
        return None


def _engine(functions: Mapping[str, Callable[..., Any]], problems: list[str]) -> str | None:
    try:
        engine = connect(functions)
        version = engine.version()
    except EngineError as exc:
        problems.append(str(exc))
        return None
    what = f"{version['Os']}/{version['Arch']}, API {version['ApiVersion']}"
    return (
        f"{'Podman ' if engine.is_podman else ''}{version['Version']} ({what}) at {engine.address}"
    )


def _images(read: Callable[[], Catalogue], problems: list[str]) -> int | None:
    try:
        images = read()
    except CatalogueError as exc:
        problems += [str(problem) for problem in exc.problems]
        return None
    except PillarError as exc:
        problems.append(str(exc))
        return None
    if images.runtime and images.runtime.pip and not importlib.util.find_spec("pip"):
        problems.append("ubiq:runtime:pip needs pip, and the Python that runs Salt here has none")
    if not shutil.which("mmdebstrap"):
        problems += [
            f"{base.where('bootstrap')} needs mmdebstrap: apt-get install mmdebstrap"
            for base in images.bases
            if base.bootstrap
        ]
        runtime = images.runtime
        if runtime and not (runtime.image or runtime.host):
            problems.append(
                "ubiq:runtime needs mmdebstrap: apt-get install mmdebstrap, or take the Python of "
                "an image (runtime: {image: …}) or of this host (runtime: {host: true})"
            )
    return len(list(images))

"""
The packages in an image, as Salt's ``pkg.list_pkgs`` finds them in a container of it,
and the document about them that others read: an SBOM in CycloneDX' JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from salt_ubiq.containers.salt_call import SaltContainer
from salt_ubiq.errors import UbiqError

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

FORMATS = ("list", "cyclonedx")

_DPKG_FIELDS = "${Package} ${Architecture} ${source:Package} ${source:Version}\\n"

_NO_SUCH_COMMAND = 127


@dataclass(frozen=True)
class Deb:
    """What dpkg knows of a package: its source is what security advisories speak of."""

    name: str
    architecture: str
    source: str
    source_version: str


@dataclass(frozen=True)
class Package:
    """
    name
        as Salt has it: ``libc6``, ``libc6:i386`` for a foreign architecture

    deb
        ``None`` where it is not dpkg's
    """

    name: str
    version: str
    deb: Deb | None = None


@dataclass(frozen=True)
class Contents:
    """
    What is in an image.

    distribution
        its ``/etc/os-release``
    """

    packages: tuple[Package, ...]
    distribution: Mapping[str, str]

    def to_dict(self) -> dict[str, str]:
        """Versions by the names of packages, as ``pkg.list_pkgs`` returns them."""
        versions: dict[str, str] = {}
        for package in self.packages:
            before = versions.get(package.name)
            versions[package.name] = f"{before},{package.version}" if before else package.version
        return versions


def read(container: SaltContainer) -> Contents:
    """
    Look into a container for the packages in its image.

    Raises :class:`~salt_ubiq.errors.CallFailed` where Salt knows no package manager in it.
    """
    installed = container.call("pkg.list_pkgs", versions_as_list=True)
    client = container.client
    absent = (0, _NO_SUCH_COMMAND)
    native = client.execute(["dpkg", "--print-architecture"], absent).stdout
    listed = client.execute(["dpkg-query", "-W", "-f", _DPKG_FIELDS], absent).stdout
    debs = debs_of(listed, native)
    return Contents(
        packages=tuple(
            Package(name, version, debs.get(name))
            for name, versions in sorted(installed.items())
            for version in versions
        ),
        distribution=os_release(client.execute(["cat", "/etc/os-release"], (0, 1)).stdout),
    )


def debs_of(printed: str, native: str) -> dict[str, Deb]:
    """
    Packages by the names that Salt has for them.

    printed
        by ``dpkg-query``

    native
        the architecture that goes without saying
    """
    debs = {}
    for line in printed.splitlines():
        words = line.split()
        if len(words) == len(Deb.__dataclass_fields__):
            deb = Deb(*words)
            debs[f"{deb.name}:{deb.architecture}"] = deb
            if deb.architecture in (native, "all") or deb.name not in debs:
                debs[deb.name] = deb
    return debs


def os_release(text: str) -> dict[str, str]:
    """The variables of an ``/etc/os-release``."""
    words = [word for line in text.splitlines() for word in _words(line)]
    return {key: value for key, equals, value in (word.partition("=") for word in words) if equals}


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote that does not end
        return []


def sbom(contents: Contents, image: str, image_id: str, at: datetime) -> str:
    """
    Return the CycloneDX document, version 1.6, of an image's contents.

    image, image_id
        the image's reference and ID

    at
        when its packages were looked at
    """
    # Here, as Salt loads its modules often, and this is seldom needed.
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6

    described = Component(
        type=ComponentType.CONTAINER, name=image, version=image_id, bom_ref=image_id
    )
    tools = [
        Component(
            type=ComponentType.APPLICATION, name=name, version=importlib.metadata.version(name)
        )
        for name in ("salt", "salt-ubiq")
    ]
    components = [*_components(contents)]
    bom = Bom(
        metadata=BomMetaData(
            timestamp=at, component=described, tools=ToolRepository(components=tools)
        ),
        components=components,
        dependencies=[
            Dependency(described.bom_ref, [Dependency(each.bom_ref) for each in components])
        ],
    )
    return JsonV1Dot6(bom).output_as_string(indent=1)


def write(found: Mapping[str, str] | str, path: str) -> str:
    """
    Write an SBOM, or versions by name as JSON, to a file; return its path.

    Raises :class:`~salt_ubiq.errors.UbiqError` where that fails; then the file is as it was.
    """
    text = found if isinstance(found, str) else json.dumps(found, indent=1)
    target = Path(path)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            new.write_text(f"{text}\n")
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)
    except OSError as exc:
        raise UbiqError(f"{path} can't be written: {exc.strerror}") from None
    return path


def _components(contents: Contents) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType

    distribution = contents.distribution
    if "ID" in distribution:
        yield Component(
            type=ComponentType.OPERATING_SYSTEM,
            name=distribution["ID"],
            version=distribution.get("VERSION_ID"),
            description=distribution.get("PRETTY_NAME"),
            bom_ref="operating-system",
        )
    for package in contents.packages:
        purl = _purl(package, distribution)
        yield Component(
            name=package.deb.name if package.deb else package.name,
            version=package.version,
            purl=purl,
            bom_ref=purl.to_string() if purl else f"{package.name}={package.version}",
        )


def _purl(package: Package, distribution: Mapping[str, str]) -> PackageURL | None:
    """A URL by which scanners find what is known of a deb; ``None`` for other packages."""
    from packageurl import PackageURL

    if package.deb is None or "ID" not in distribution:
        return None
    deb, vendor = package.deb, distribution["ID"]
    release = distribution.get("VERSION_ID") or distribution.get("VERSION_CODENAME")
    upstream = deb.source
    if deb.source_version != package.version:
        upstream = f"{deb.source}@{deb.source_version}"
    qualifiers = {
        "arch": deb.architecture,
        "distro": f"{vendor}-{release}" if release else None,
        "upstream": upstream if upstream != deb.name else None,
    }
    return PackageURL(
        "deb", vendor, deb.name, package.version,
        {key: value for key, value in qualifiers.items() if value},
    )  # fmt: skip

"""
Fill a directory with a portable Python and an unpacked Salt thin.

Run by the Python that is to be collected: ``python3 collect.py TARGET MOUNT THIN [PACKAGES]``.

TARGET
    the directory to fill

MOUNT
    where build containers will have it

THIN
    Salt's thin tarball

PACKAGES
    a tar of Python packages that states need

A portable Python is its executable, its standard library, every shared library
that these load and the dynamic loader itself, which is started by name: so no
library of a build's base is used, and none needs to be there.
"""

import compileall
import contextlib
import ctypes
import importlib
import importlib.machinery
import os
import py_compile
import shutil
import stat
import sys
import sysconfig
import tarfile
import warnings

# Parts of the standard library that no Salt needs.
UNNEEDED = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data",
    "__pycache__", "site-packages", "dist-packages",
}  # fmt: skip
WRAPPER = """#!/bin/sh
exec {mount}/lib/{loader} --library-path {mount}/lib {mount}/bin/{python} -ISX utf8 "$@"
"""


# What packages in C expect of any system.
EXPECTED = ("libstdc++.so.6", "libgcc_s.so.1")


def main(target, mount, thin, packages=None):
    version = "python%d.%d" % sys.version_info[:2]
    for name in ("bin", "lib", "salt"):
        os.makedirs(os.path.join(target, name))
    stdlib = os.path.join(target, "lib", version)
    copy_stdlib(stdlib)
    if packages:
        with tarfile.open(packages) as tar:
            tar.extractall(os.path.join(target, "pip"))
        for name in EXPECTED:
            with contextlib.suppress(OSError):
                ctypes.CDLL(name)
    libraries = loaded_libraries(os.path.join(stdlib, "lib-dynload"))
    for path in libraries:
        copy_library(path, os.path.join(target, "lib"))
    shutil.copy(os.path.realpath(sys.executable), os.path.join(target, "bin", version))
    loader = next(os.path.basename(path) for path in libraries if "/ld-" in path)
    write(
        os.path.join(target, "bin", "python3"),
        WRAPPER.format(mount=mount, loader=loader, python=version),
    )
    unpack(thin, os.path.join(target, "salt"))
    compileall.compile_dir(
        target,
        quiet=2,
        workers=os.cpu_count() or 1,
        stripdir=target,
        prependdir=mount,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def copy_stdlib(target):
    source = sysconfig.get_path("stdlib")
    shutil.copytree(
        source,
        target,
        symlinks=False,
        ignore_dangling_symlinks=True,
        ignore=lambda _, names: [
            name for name in names if name in UNNEEDED or name.startswith("config-")
        ],
    )
    shared = os.path.join(target, "lib-dynload")
    if not os.path.isdir(shared):
        shutil.copytree(sysconfig.get_config_var("DESTSHARED"), shared)


def loaded_libraries(extensions):
    """Load every extension module, and return the shared libraries that are loaded then."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    for name in sorted(os.listdir(extensions)):
        if name.endswith(suffixes):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    importlib.import_module(name.split(".")[0])
            except ImportError:
                os.remove(os.path.join(extensions, name))  # of what was left out
    with open("/proc/self/maps") as maps:
        paths = {line.split(None, 5)[-1].strip() for line in maps}
    return sorted(
        path
        for path in paths
        if (".so" in os.path.basename(path)) and not path.endswith(suffixes) and path[0] == "/"
    )


def copy_library(path, target):
    """Copy a library with the links to it: they have the name by which others ask for it."""
    directory, name = os.path.split(path)
    shutil.copy(path, os.path.join(target, name))
    for link in os.listdir(directory):
        leads_here = os.path.realpath(os.path.join(directory, link)) == os.path.realpath(path)
        if leads_here and link != name and ".so." in link:
            os.symlink(name, os.path.join(target, link))


def unpack(thin, target):
    """
    Unpack the thin, but for salt-ubiq.

    Its modules are for hosts that build, and what they need is not in a thin.
    """
    with tarfile.open(thin) as tar:
        for member in tar:
            parts = member.name.replace("-", "_").split("/")
            if member.isfile() and not any(part.startswith("salt_ubiq") for part in parts):
                tar.extract(member, target)


def write(path, text):
    with open(path, "w") as handle:
        handle.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


if __name__ == "__main__":
    main(*sys.argv[1:])

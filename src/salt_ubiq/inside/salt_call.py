"""
The runtime's ``salt-call``: ``python3 salt_call.py SCRATCH ARGUMENT…``.

Salt keeps its config, cache and logs in the directory SCRATCH, which is not of
the image. What the states start must not notice in which Python Salt runs.
"""

import ctypes.util
import glob
import json
import os
import shutil
import sys
import tempfile

CACHE = "/dev/salt-ubiq/cache"
RUNTIME = os.path.dirname(os.path.abspath(__file__))
# Where distributions have what TLS trusts; certifi's is for a base without.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def main(scratch, *arguments):
    sys.path[:0] = [RUNTIME + "/salt/py3", RUNTIME + "/salt/pyall", RUNTIME]
    sys.path += [RUNTIME + "/pip", *image_packages()]  # the catalogue's ubiq:runtime:pip
    sys.dont_write_bytecode = True  # it would be written beside the image's packages
    os.environ.pop("LC_CTYPE", None)  # Python's own, where no locale is set
    ctypes.util.find_library = find_library
    # What starts "this Python", pip.installed for one, means the image's.
    sys.executable = shutil.which("python3") or RUNTIME + "/bin/python3"
    tempfile.tempdir = scratch
    make_apt_directories()
    sys.argv = ["salt-call", "--config-dir", write_config(scratch), *arguments]

    import watched
    from salt.scripts import salt_call

    sys.path.remove(RUNTIME)
    watched.run(salt_call)


def image_packages():
    """Where the image has Python packages: some modules of Salt need one, pip.installed pip."""
    found = glob.glob("/usr/lib/python3*/site-packages")
    found += glob.glob("/usr/local/lib/python3*/*-packages")
    # Debian's, whether it is there already or comes with the states.
    return ["/usr/lib/python3/dist-packages", *sorted(found)]


def make_apt_directories():
    """apt makes the directories below its cache, but not the cache."""
    if "APT_CONFIG" in os.environ:
        for name in ("apt/archives/partial", "apt-lists/partial"):
            os.makedirs(CACHE + "/" + name, exist_ok=True)


def find_library(name):
    """Python's own asks the linker's cache, which knows the image's libraries only."""
    start = "lib" + name + ".so"
    found = [entry for entry in os.listdir(RUNTIME + "/lib") if entry.startswith(start)]
    return found[0] if found else None


def write_config(scratch):
    import certifi

    own = os.environ.get("SSL_CERT_FILE", "")  # the build's, for a proxy's certificates
    trusted = [path for path in (own, *CA_BUNDLES) if os.path.exists(path)] or [certifi.where()]
    config = {
        "root_dir": scratch,
        "file_client": "local",
        "ca_bundle": trusted[0],
        "cache_minion_id": False,
        "enable_fqdns_grains": False,
    }
    directory = scratch + "/etc"
    os.makedirs(directory, exist_ok=True)
    with open(directory + "/minion", "w") as handle:
        json.dump(config, handle)
    return directory


if __name__ == "__main__":
    main(*sys.argv[1:])

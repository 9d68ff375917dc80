"""
Salt's file client in a container of a build: what it asks for, the host that builds answers.

A question is a line on stderr that begins with a mark, the answer comes on stdin: its length,
and so many bytes. Both are what a master's file server and its minions say to each other.
"""

import base64
import fcntl
import inspect
import io
import json
import os
import shutil
import struct
import sys
import tarfile
import tempfile

MARK = "\x1e"
# Whether there is somebody to ask.
ASKS = "SALT_UBIQ_ASKS"

# The variables by which programs know what to trust.
TRUSTING = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)

_host = None
_made = []


def temporary():
    _made.append(tempfile.mkdtemp())
    return _made[-1]


def clean():
    """Remove what there is for the time of this process."""
    for directory in _made:
        shutil.rmtree(directory, ignore_errors=True)


def connect():
    """Take stdin for the answers, and what the host has of modules, grains and config."""
    global _host
    if not os.environ.pop(ASKS, ""):
        return
    _host = Host()
    import salt.config  # before its loader, or Salt 3006 without psutil imports itself in a circle
    import salt.fileserver

    salt.fileserver.FSChan = Channel
    extension_modules()


class Host:
    """The host that builds, for this process and those that it forks."""

    def __init__(self):
        self._answers = os.dup(0)  # what the states start doesn't get it
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._lock = os.path.join(temporary(), "asking")

    def ask(self, load):
        import salt.payload

        question = base64.b64encode(salt.payload.dumps(load, use_bin_type=True)).decode()
        # A file of its own each time, so that threads and forked processes wait for each other.
        with open(self._lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            print(MARK + json.dumps({"asked": question}), file=sys.__stderr__, flush=True)
            (length,) = struct.unpack(">I", self._read(4))
            return salt.payload.loads(self._read(length), encoding="utf-8")

    def _read(self, length):
        parts = io.BytesIO()
        while parts.tell() < length:
            part = os.read(self._answers, length - parts.tell())
            if not part:
                raise OSError("the host that builds does not answer any more")
            parts.write(part)
        return parts.getvalue()


class Channel:
    """In the place of Salt's ``FSChan``, which is the file server of this machine itself."""

    def __init__(self, opts, **_):
        self.opts = opts

    def send(self, load, tries=None, timeout=None, raw=False):
        return _host.ask(dict(load, by_state=is_by_state(sys._getframe(1))))

    def close(self):
        pass


def is_by_state(frame):
    """
    Whether a state asks, not a template of it: of the list of all files file.recurse takes its
    own, and the rest is no matter to an image.
    """
    while frame:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("jinja2") or name == "salt.utils.templates":
            return False
        if name.endswith(".states.file"):
            return True
        frame = frame.f_back
    return False


def extension_modules():
    """Have the modules of the tree, and note which of them are used."""
    import salt.config

    given = _host.ask({"cmd": "extension_modules"})
    more = {"module_dirs": [write_ours(given["ours"])]}
    if given["modules"]:
        more["extension_modules"] = temporary()
        with tarfile.open(fileobj=io.BytesIO(given["modules"])) as tar:
            tar.extractall(more["extension_modules"])  # of the host itself
        note_used(more["extension_modules"])
    if given["certificates"]:
        more["ca_bundle"] = trust(given["certificates"])
    if given["pillar"] is not None:
        see(given["pillar"])
    read = salt.config.minion_config

    def reading(*args, **kwargs):
        opts = read(*args, **kwargs)
        opts.update({key: value for key, value in given["config"].items() if key not in opts})
        opts.update(more)
        return opts

    salt.config.minion_config = reading


def trust(certificates):
    """Have Salt, and what its states start, trust these for as long as they run."""
    path = os.path.join(temporary(), "certificates.crt")
    with open(path, "w") as handle:
        handle.write(certificates)
    os.chmod(os.path.dirname(path), 0o755)  # not all that states start is root's
    os.environ.update(dict.fromkeys(TRUSTING, path))
    return path


def see(pillar):
    """Have that, a text of JSON, as pillar; it is kept in memory alone."""
    import salt.pillar

    class Given:
        def __init__(self, *_, **__):
            pass

        def compile_pillar(self, *_, **__):
            return json.loads(pillar)

    salt.pillar.get_pillar = Given


def write_ours(texts):
    """Have what stands in for modules of Salt in a directory that goes before all others."""
    directory = temporary()
    os.mkdir(os.path.join(directory, "modules"))
    for name, text in texts.items():
        with open(os.path.join(directory, "modules", name), "w") as handle:
            handle.write(text)
    return directory


def note_used(directory):
    """Say on stderr which of the modules below a directory are called, each once."""
    import salt.loader.lazy

    run, said = salt.loader.lazy.LazyLoader.run, set()

    def noting(self, function, *args, **kwargs):
        path = getattr(inspect.unwrap(function), "__globals__", {}).get("__file__") or ""
        if path.startswith(directory) and path not in said:
            said.add(path)
            used = os.path.relpath(path, directory)
            print(MARK + json.dumps({"used": used}), file=sys.__stderr__, flush=True)
        return run(self, function, *args, **kwargs)

    salt.loader.lazy.LazyLoader.run = noting

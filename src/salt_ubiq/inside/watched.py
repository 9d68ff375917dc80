"""
Run ``salt-call`` so that it says how far its states are, and ends when they have ended.

Of the volume, where salt_call.py uses it. Where there is none, its text and that of what it
imports are run by the image's own Python: ``python3 -c TEXT SALT_CALL ARGUMENT…``, with the script
of Salt's thin.
"""

import contextlib
import json
import os
import runpy
import sys
import traceback

import host_files
import stop

RESOLVER = "/etc/resolv.conf"


def run(salt_call):
    """
    Call Salt's ``salt_call``, and end this process with it.

    Python would wait for the threads that Salt leaves: where a command had a timeout,
    one that reads what the command's children may yet print.
    """
    status = 1
    try:
        host_files.connect()
        if "state.pkg" in sys.argv:
            announce_states()
        salt_call()
        status = 0
    except SystemExit as exc:
        status = exc.code
        if not isinstance(status, (int, type(None))):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
    finally:
        if "state.pkg" in sys.argv:
            announce({"killed": stop.stop_all()})
        host_files.clean()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit((status or 0) & 0xFF)


def announce_states():
    """
    Say on stderr which state of how many begins, and how each one has ended.

    No state takes the name server from those after it: what is in /etc/resolv.conf is of the
    container, not of the image.
    """
    resolver = read(RESOLVER)

    from salt.state import State

    call_chunks, call = State.call_chunks, State.call
    numbers = {}  # of the states that have begun, by what they keep when they are retried or watch
    running = []
    total = [0]

    def counting_chunks(self, chunks, *args, **kwargs):
        total[0] = len(chunks)
        return call_chunks(self, chunks, *args, **kwargs)

    def announcing_call(self, low, *args, **kwargs):
        if running:  # it is called by itself, to try once more
            return call(self, low, *args, **kwargs)
        key = (low["state"], str(low.get("__id__")), str(low.get("name")))
        number = numbers.setdefault(key, min(len(numbers) + 1, total[0]))
        only_looks = low.get("__prereq__")
        function = "%s.%s" % (low["state"], low["fun"])
        tag = "%s_|-%s_|-%s_|-%s" % (*key, low["fun"])
        state = {"sls": low.get("__sls__"), "id": key[1], "function": function, "name": key[2]}
        announce({"begun": dict(state, number=number, of=total[0])})
        running.append(key)
        try:
            ret = call(self, low, *args, **kwargs)
        finally:
            running.pop()
            if read(RESOLVER) != resolver:
                restore(RESOLVER, resolver)
                if low["state"] != "file":  # of a file, its name says it
                    announce({"restored": state})
        if isinstance(ret, dict) and not only_looks:
            announce({"ended": {tag: summary(ret)}})
        return ret

    State.call_chunks, State.call = counting_chunks, announcing_call


def read(path):
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError:
        return None


def restore(path, content):
    if content is not None:
        # What is mounted there can be written only as it is.
        with contextlib.suppress(OSError), open(path, "wb") as handle:
            handle.write(content)


def summary(ret):
    """Of a state's return what whoever waits wants to know if nothing more comes."""
    failed = ret.get("result") is False
    kept = {key: ret.get(key) for key in ("result", "__sls__", "__id__", "__run_num__")}
    kept["comment"] = ret.get("comment") if failed else ""
    kept["changes"] = ret.get("changes") if failed else bool(ret.get("changes"))
    return kept


def announce(what):
    text = json.dumps(what, default=str, skipkeys=True)
    print(host_files.MARK + text, file=sys.__stderr__, flush=True)


def run_script():
    """As ``python3 -c``: call the script of Salt's thin that is the first argument."""
    del sys.argv[0]  # the "-c"
    runpy.run_path(sys.argv[0])  # not as __main__: it only says where Salt is
    from salt.scripts import salt_call

    run(salt_call)

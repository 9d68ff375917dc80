"""
Print, as JSON, for which Python packages have to be that this one is to use: its version, its
machine, and the C library that packages in C would find.
"""

import json
import os
import platform
import sys


def kind():
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (ValueError, AttributeError):  # of another C library
        name, version = "", ""
    return {
        "version": "%d.%d" % sys.version_info[:2],
        "machine": platform.machine(),
        "glibc": version if name == "glibc" else "",
    }


if __name__ == "__main__":
    print(json.dumps(kind()))

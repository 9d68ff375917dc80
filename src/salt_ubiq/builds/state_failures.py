"""
What a failed state says, for the person who must act: no traceback of Salt's, and for what often
goes wrong in a build, what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TRACEBACK = re.compile(
    r"(?:An exception occurred in this state: )?Traceback \(most recent call last\):\n"
    r"(?:[ \t]+.*\n|\n)*(?P<error>\S.*)"
)
_LONGEST = 3000  # letters
# What is said, and what to do about it; only the first that fits is told.
_ADVICE = (
    (
        r"Unable to locate package|has no installation candidate|No matching packages?\b"
        r"|No package .* (?:available|found)|no such package",
        "the image's package sources do not have it: check the name for this distribution, or add "
        "its repository in a state before",
    ),
    (
        r"Unable to run command|[Cc]ommand '?\S+?'? (?:cannot be|not) found|command not found"
        r"|No such file or directory: b?'[^'/]+'|cannot be found\b.*binary",
        "the program is not in the image: install its package in a state before, or in the base",
    ),
    (
        r"Jinja error:|TemplateNotFound|Source file salt://\S+ not found|"
        r"Unable to find.* salt://|Recurse failed: none of the specified sources were found"
        r"|none of the specified sources were found",
        "see whether the file is in the state tree, in the saltenv that the image has",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|server certificate verification",
        "the image does not trust that certificate: install the authority's in a state before, or "
        "in the base; certificates: host trusts what this host does while the image is built",
    ),
    (
        r"Name or service not known|Temporary failure (?:in name resolution|resolving)"
        r"|Could not resolve|[Nn]etwork is unreachable|No route to host|Connection timed out",
        "containers of a build have no way there: see network_mode, and the proxies of the Docker "
        "client's config",
    ),
    (
        r"/etc/init\.d/\S+ start: exit status",
        "it does not start in a container as it is configured here; services: offline has it only "
        "enabled",
    ),
    (
        r"No module named '?[\w.]+",
        "a Python package that it needs is not in the runtime: name it in ubiq:runtime:pip",
    ),
    (
        r"__virtual__ returned False",
        "Salt has it only where what it needs is there: a program of the image (install its "
        "package in a state before, with reload_modules: true), or a Python package "
        "(name it in ubiq:runtime:pip)",
    ),
)
_HOPELESS = re.compile("|".join(pattern for pattern, _ in _ADVICE[:3]))


def explained(comment: str) -> str:
    """A state's comment in a few lines, and what to do about it where that is known."""
    text = _TRACEBACK.sub(lambda match: match["error"], comment).strip()
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    advice = next((advice for said, advice in _ADVICE if re.search(said, text)), "")
    return f"{text}\n=> {advice}" if advice else text


def is_hopeless(failed: Mapping[str, str]) -> bool:
    """Say whether a failed state fails on whatever image of the distribution it is applied to."""
    return "requisite failed" in failed["comment"] or bool(_HOPELESS.search(failed["comment"]))

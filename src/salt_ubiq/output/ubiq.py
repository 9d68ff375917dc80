"""
Show the results of a run as a table.

The default for ``ubiq_docker.build_all``, where ``--out=json`` shows all; the
runner ``ubiq.build_all`` needs ``--out=ubiq``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import salt.output

if TYPE_CHECKING:
    __opts__: dict[str, Any]

__virtualname__ = "ubiq"


def __virtual__() -> str:
    return __virtualname__


def output(data: Any, **kwargs: Any) -> str:
    """
    Return the text for the results in ``data``, ``{name: result}`` at any depth.

    CLI Example:

    .. code-block:: bash

        salt-call --local --out=ubiq ubiq_docker.build_all
    """
    from salt_ubiq.results import Result
    from salt_ubiq.runs.summary import table

    results = list(_results(data))
    if not results:
        # The option that named this outputter would name it again.
        opts = {key: value for key, value in __opts__.items() if key != "output"}
        return str(salt.output.out_format(data, "nested", opts, **kwargs))
    texts = [table(Result.from_dict(result) for result in results)]
    for result in results:
        if result["error"] and result["action"] == "failed":
            place = f"\nlog: {result['log']}" if result["log"] else ""
            texts.append(f"{result['error']}{place}")
    return "\n\n".join(texts)


def _results(data: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(data, dict):
        return
    if "action" in data and "name" in data:
        yield data
        return
    for value in data.values():
        yield from _results(value)

"""
Show the results of a run as a table.

The default for ``ubiq_docker.build_all``, where ``--out=json`` shows all; the
runner ``ubiq.build_all`` needs ``--out=ubiq``.
"""

import salt.output

__virtualname__ = "ubiq"


def __virtual__():
    return __virtualname__


def output(data, **kwargs):
    """
    Return the text for the results in ``data``, ``{name: result}`` at any depth.

    CLI Example:

    .. code-block:: bash

        salt-call --local --out=ubiq ubiq_docker.build_all
    """
    from salt_ubiq.report import Result, table

    results = list(_results(data))
    if not results:
        # The option that named this outputter would name it again.
        opts = {key: value for key, value in __opts__.items() if key != "output"}
        return salt.output.out_format(data, "nested", opts, **kwargs)
    texts = [table(Result.from_dict(result) for result in results)]
    for result in results:
        if result["error"] and result["action"] == "failed":
            place = f"\nlog: {result['log']}" if result["log"] else ""
            texts.append(f"{result['error']}{place}")
    return "\n\n".join(texts)


def _results(data):
    if not isinstance(data, dict):
        return
    if "action" in data and "name" in data:
        yield data
        return
    for value in data.values():
        yield from _results(value)

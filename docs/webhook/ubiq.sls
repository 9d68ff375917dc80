#!py
"""
Reactor to salt/netapi/hook/ubiq/build: hand what was posted to the runner, which checks it.

Python, not YAML with Jinja: so nothing in a body can become anything but an argument.
"""


def run():
    order = {"data": data.get("post")}
    return dict(build={"runner.ubiq.hook": [{"args": order}]})

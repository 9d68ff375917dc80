"""Python packages that states need: ``ubiq:runtime:pip``."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import IMAGES, volume_names

STATES = """
/srv/page:
  file.managed:
    - template: mako
    - source: salt://page.mako
/srv/asked:
  file.managed:
    - contents: "{{ salt['greenlets.switched']() }}"
"""
PAGE = "written by ${'mako'}\n% for each in range(2):\n${each}\n% endfor\n"
MODULE = """
def switched():
    import greenlet
    return greenlet.greenlet(lambda word: word.upper()).switch("switched")
"""
ONE = {"repository": f"{IMAGES}one", "base": "test-base", "mods": ["one"]}


@pytest.fixture
def host(host, engine):
    host.file("page.mako", PAGE)
    host.file("one.sls", STATES)
    host.file("_modules/greenlets.py", MODULE)
    there = runtimes(engine)
    yield host
    for name in runtimes(engine) - there:
        engine.remove_volume(name)


def runtimes(engine):
    return {name for name in volume_names(engine) if name.startswith("salt-ubiq-runtime-")}


def reasons(host):
    return host.call("ubiq_docker.plan", "test-one")[-1]["reasons"]


def test_states_and_templates_have_the_python_packages_that_the_catalogue_names(host, run_in):
    host.catalogue(runtime={"pip": ["mako>=1.2,<2", "greenlet"]}, **{"test-one": ONE})
    built = host.call("ubiq_docker.build_service", "test-one")
    assert run_in(built["image"], "cat", "/srv/page") == "written by mako\n0\n1"
    assert run_in(built["image"], "cat", "/srv/asked") == "SWITCHED"  # by a package in C++
    assert run_in(built["image"], "find", "/", "-xdev", "-iname", "*greenlet*") == ""
    assert reasons(host) == []
    host.catalogue(**{"test-one": ONE})
    host.file("_modules/greenlets.py", "def switched():\n    return 'SWITCHED'\n")
    assert "ubiq:runtime:pip changed: - greenlet, - mako>=1.2,<2" in reasons(host)


def test_a_template_that_lacks_its_renderers_package_says_where_to_name_it(host):
    host.file("one.sls", STATES.partition("/srv/asked")[0])
    host.catalogue(**{"test-one": ONE})
    with pytest.raises(CommandExecutionError) as failure:
        host.call("ubiq_docker.build_service", "test-one")
    assert "name it in ubiq:runtime:pip" in str(failure.value)

"""What will keep states from compiling is known before anything is built."""

from __future__ import annotations

from tests.conftest import IMAGES

BROKEN = {
    "syntax": "x: {% if %}\n",
    "included": "include: [nowhere]\n",
    "function": "/srv/x:\n  file.manged: []\n",
    "elsewhere": "{{ grains['of no host'] }}:\n  file.managed: []\n",
    "asking": "{{ salt['cmd.run']('hostname') }}:\n  file.managed: []\n",
    "well": "/srv/x:\n  file.managed: []\n",
}


def test_plan_and_check_tell_which_states_compile_on_no_image_without_starting_anything(
    host, engine
):
    for name, states in BROKEN.items():
        host.file(f"{name}.sls", states)
    host.catalogue(
        **{
            f"test-{name}": {"repository": f"{IMAGES}{name}", "base": "test:none", "mods": [name]}
            for name in (*BROKEN, "missing")
        }
    )
    containers = engine.containers(all=True)

    plan = {each["name"]: each["problem"] for each in host.call("ubiq_docker.plan")}
    assert "Jinja syntax error" in plan["test-syntax"]
    assert "nowhere" in plan["test-included"]
    assert plan["test-function"].startswith(
        "test-function: function: /srv/x: there is no file.manged (did you mean 'file.managed'"
    )
    assert plan["test-missing"].startswith(
        "ubiq:services:test-missing:mods: no SLS 'missing' in saltenv base"
    )
    sure = {"test-syntax", "test-included", "test-function", "test-missing"}
    assert {name for name in plan if plan[name]} == sure

    report = host.call("ubiq_docker.check")
    assert not report["ready"]
    assert {plan[name] for name in sure} == {*report["problems"]}
    assert engine.containers(all=True) == containers

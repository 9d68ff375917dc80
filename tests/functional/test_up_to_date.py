"""What is up to date is not built; what is built is built for the reason that is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from copy import deepcopy
from textwrap import dedent

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, DEBIAN, IMAGES
from tests.support.repository import REPOSITORY

FROM = f"{IMAGES}from"
INIT = """
    {% from 'web/macros.jinja' import page %}
    /srv/page:
      file.managed:
        - contents: "{{ page() }} {{ pillar['web']['colour'] }}"
    /srv/conf:
      file.managed:
        - source: salt://web/conf
    /srv/template:
      file.managed:
        - source: salt://web/template
        - template: jinja
    /srv/tree:
      file.recurse:
        - source: salt://web/tree
    /srv/gone:
      file.managed: []
    """


def service(name, **more):
    plain = {"base": "test-base", "mods": ["other"]}
    return {"repository": f"{IMAGES}{name}", **plain, **more}


class Project:
    """A base and services of every kind on a host, and means to change each thing by itself."""

    def __init__(self, host, engine):
        self.host = host
        self.engine = engine
        self.is_up_to_date = False
        self.web = service(
            "fresh-web",
            base="test-parent",
            mods=["web", "more", "most"],
            extra_filerefs=["salt://web/imported.jinja"],
            config={"cmd": ["cat", "/srv/page"], "env": {"A": "1"}},
            pillar={"web": {"own": "1"}},
        )
        self.small = {
            "repository": f"{IMAGES}small",
            "dockerfile": "salt://context",
            "buildargs": {"WORD": "one"},
        }
        self.pillar = {
            "web": {"colour": "blue", "gone": 1, "password": "a"},
            "other": {"word": "other"},
            "unread": 1,
        }
        for name in ("other", "parent", "more", "most", "even_more"):
            host.file(f"{name}.sls", f"/srv/{name}:\n  file.managed\n")
        host.file("web/init.sls", INIT)
        host.file("web/macros.jinja", "{% macro page() %}a page{% endmacro %}\n")
        host.file("web/template", "{% from 'web/imported.jinja' import word %}{{ word }}\n")
        host.file("web/imported.jinja", "{% set word = 'imported' %}\n")
        for name in ("conf", "tree/one", "tree/below/two", "tree/gone"):
            host.file(f"web/{name}", f"{name}\n")
        host.file("context/Dockerfile", f"FROM {FROM}\nARG WORD\nCOPY file /srv/file\n")
        host.file("context/file", "a file\n")
        host.file("context/below/gone", "gone\n")
        engine.tag(DEBIAN, FROM)
        self.declare()

    def declare(self):
        """Let the catalogue and the pillar be what the attributes say."""
        services = {
            "test-other": service("other"),
            "test-parent": service("parent", mods=["parent"]),
            "test-web": self.web,
        }
        bases = {"test-base": self.host.base, "test-small": self.small}
        keys = {"web": ["web", "new"], "other": ["other"], "parent": []}
        keys |= {name: [] for name in ("more", "most", "even_more")}
        catalogue = {"pillar_keys": keys, "bases": bases, "services": services}
        self.host.pillar({**self.pillar, "ubiq": catalogue})

    def planned(self, *names, **how):
        """What would be built, and why."""
        plan = self.host.call("ubiq_docker.plan", *names, **how)
        return {step["name"]: step["reasons"] for step in plan if step["action"] == "build"}

    def built(self, *names, **how):
        """Build; what was built, and why."""
        results = self.host.call("ubiq_docker.build_all", *names, **how)
        assert {each["action"] for each in results.values()} <= {"built", "up-to-date"}, results
        return {
            name: each["reasons"] for name, each in results.items() if each["action"] == "built"
        }

    def ids(self):
        status = self.host.call("ubiq_docker.status")
        return {name: each["id"] for name, each in status.items()}

    @contextmanager
    def as_it_was_afterwards(self):
        """In the end, the files, the pillar and the catalogue are what they were."""
        declared = deepcopy((self.web, self.small, self.pillar))
        kept = self.host.states.with_name("kept")
        shutil.copytree(self.host.states, kept, symlinks=True)
        try:
            yield
        finally:
            shutil.rmtree(self.host.states)
            kept.rename(self.host.states)
            self.web, self.small, self.pillar = declared
            self.declare()

    def edit(self, path, old, new):
        text = (self.host.states / path).read_text()
        assert old in text
        self.host.file(path, text.replace(old, new))


@pytest.fixture(scope="module")
def module_project(module_host, engine):
    return Project(module_host, engine)


@pytest.fixture
def project(module_project):
    """The project, all its images built; seeing that takes time, saved where a test left it so."""
    if not module_project.is_up_to_date:
        module_project.built()
    module_project.is_up_to_date = False
    return module_project


def write(path, text):
    return lambda project: project.host.file(path, text)


def remove(path):
    return lambda project: (project.host.states / path).unlink()


def edit(path, old, new):
    return lambda project: project.edit(path, old, new)


def declare(key, value, of="web"):
    """Give a key of the catalogue's image another value; a mapping is merged."""

    def change(project):
        declared = getattr(project, of)
        merged = {**declared.get(key, {}), **value} if isinstance(value, dict) else value
        setattr(project, of, {**declared, key: merged})
        project.declare()

    return change


def pillar(key, value=None):
    """Change a key below ``web``; remove it where there is no value."""

    def change(project):
        project.pillar["web"].pop(key, None)
        if value is not None:
            project.pillar["web"][key] = value
        project.declare()

    return change


def forget_recipe(project):
    labels = project.engine.inspect_image(project.web["repository"])["Config"]["Labels"]
    recipes = project.host.cachedir / "ubiq" / "recipes"
    (recipes / f"{labels['org.salt-ubiq.recipe']}.json").unlink()
    project.host.file("web/conf", "elsewhere\n")


STATE = "state web: file.managed"
OF_WEB = {
    "a file": (write("web/conf", "other\n"), ["salt://web/conf changed"]),
    "a file in a directory": (write("web/tree/one", "1"), ["salt://web/tree/one changed"]),
    "one more": (write("web/tree/below/new", "new\n"), ["salt://web/tree/below/new added"]),
    "one less": (remove("web/tree/gone"), ["salt://web/tree/gone removed"]),
    "a macro": (edit("web/macros.jinja", "a page", "pages"), [f"{STATE} /srv/page changed"]),
    "extra_filerefs": (
        edit("web/imported.jinja", "imp", "exp"),
        ["salt://web/imported.jinja changed"],
    ),
    "pillar value": (pillar("colour", "red"), ["pillar web:colour changed"]),
    "pillar secret": (pillar("password", "b"), ["pillar web:password changed"]),
    "pillar added": (pillar("shape", {"corners": 3}), ["pillar web:shape added"]),
    "pillar removed": (pillar("gone"), ["pillar web:gone removed"]),
    "own pillar": (declare("pillar", {"web": {"own": "2"}}), ["pillar web:own changed"]),
    "a state": (
        edit("web/init.sls", "salt://web/conf", "salt://web/conf\n    - mode: 600"),
        [f"{STATE} /srv/conf changed"],
    ),
    "a state added": (
        edit("web/init.sls", "/srv/gone:", "/srv/new:\n  file.managed: []\n/srv/gone:"),
        [f"{STATE} /srv/new added"],
    ),
    "a state removed": (
        edit("web/init.sls", "/srv/gone:\n  file.managed: []\n", ""),
        [f"{STATE} /srv/gone removed"],
    ),
    "mods": (
        declare("mods", ["web", "more", "most", "even_more"]),
        ["mods changed: + even_more"],
    ),
    "mods less": (declare("mods", ["web", "more"]), ["mods changed: - most"]),
    "mods order": (declare("mods", ["web", "most", "more"]), ["mods changed: their order"]),
    "cmd": (declare("config", {"cmd": "true"}), ["config cmd changed"]),
    "env": (declare("config", {"env": {"A": "2"}}), ["config env changed"]),
    "labels": (declare("config", {"labels": {"team": "web"}}), ["config labels added"]),
    "build": (declare("build", {"environment": {"A": "1"}}), ["build environment added"]),
    "network": (declare("network_mode", "host"), ["build network_mode added"]),
}
OF_SMALL = {
    "a file": (write("context/file", "another\n"), ["salt://context/file changed"]),
    "one more": (write("context/below/new", "new\n"), ["salt://context/below/new added"]),
    "one less": (remove("context/below/gone"), ["salt://context/below/gone removed"]),
    "Dockerfile": (
        edit("context/Dockerfile", "/srv/file", "/srv/copy"),
        ["salt://context/Dockerfile changed"],
    ),
    "buildargs": (declare("buildargs", {"WORD": "two"}, "small"), ["buildargs WORD changed"]),
    "another FROM": (
        edit("context/Dockerfile", f"FROM {FROM}", f"FROM {BASE}"),
        [f"parent changed: {FROM} to {BASE}", "salt://context/Dockerfile changed"],
    ),
}
# What has changed on the engine, or of the records, can't be undone but by building.
BUILT = {
    "a file": (write("web/conf", "built\n"), "test-web", ["salt://web/conf changed"]),
    "parent": (
        lambda project: project.host.call("ubiq_docker.build_service", "test-parent", force=True),
        "test-web",
        ["parent test-parent changed"],
    ),
    "no image": (
        lambda project: project.engine.remove_image(project.web["repository"], force=True),
        "test-web",
        ["no image"],
    ),
    "not ours": (
        lambda project: project.engine.tag(DEBIAN, project.web["repository"], force=True),
        "test-web",
        ["the image has no recipe: it was not built by this version of salt-ubiq"],
    ),
    "elsewhere": (
        forget_recipe,
        "test-web",
        ["salt://web/conf changed"],  # the image says it itself
    ),
    "a file of a base": (
        write("context/file", "built\n"),
        "test-small",
        ["salt://context/file changed"],
    ),
    "FROM": (
        lambda project: project.engine.tag(BASE, FROM, force=True),
        "test-small",
        [f"parent {FROM} changed"],
    ),
    "no base": (
        lambda project: project.engine.remove_image(project.small["repository"], force=True),
        "test-small",
        ["no image"],
    ),
}


@pytest.mark.parametrize(
    ("name", "change", "reasons"),
    [
        pytest.param(name, *case, id=f"{name}: {what}")
        for name, cases in (("test-web", OF_WEB), ("test-small", OF_SMALL))
        for what, case in cases.items()
    ],
)
def test_an_image_is_to_be_built_for_what_changed_and_nothing_else_is(
    project, name, change, reasons
):
    with project.as_it_was_afterwards():
        change(project)
        assert project.planned() == {name: reasons}
    project.is_up_to_date = True


@pytest.mark.parametrize("what", BUILT)
def test_an_image_is_built_for_the_reason_that_is_planned(project, what):
    change, name, reasons = BUILT[what]
    change(project)
    assert project.planned() == {name: reasons}
    function = "build_base" if name == "test-small" else "build_service"
    assert project.host.call(f"ubiq_docker.{function}", name)["reasons"] == reasons
    project.is_up_to_date = True


def test_what_is_built_once_is_not_built_again_and_gets_its_missing_tags(project, engine):
    before = project.ids()
    declare("tags", ["latest", "extra"])(project)
    assert project.planned() == project.built() == {}
    assert project.ids() == before
    assert engine.inspect_image(f"{project.web['repository']}:extra")["Id"] == before["test-web"]

    for function, name in (("build_service", "test-web"), ("build_base", "test-small")):
        again = project.host.call(f"ubiq_docker.{function}", name)
        assert (again["action"], again["reasons"]) == ("up-to-date", [])
        assert again["id"] == again["old_id"] == before[name]
    status = project.host.call("ubiq_docker.status", "test-web")["test-web"]
    assert (status["fresh"], status["reasons"]) == (True, [])


def test_a_service_built_by_itself_tells_the_same_reason(project):
    write("web/conf", "by itself\n")(project)
    status = project.host.call("ubiq_docker.status", "test-web")["test-web"]
    assert (status["fresh"], status["reasons"]) == (False, ["salt://web/conf changed"])
    built = project.host.call("ubiq_docker.build_service", "test-web")
    assert (built["action"], built["reasons"]) == ("built", ["salt://web/conf changed"])
    assert built["id"] != built["old_id"] == status["id"]


def test_comments_and_whitespace_change_nothing(project):
    path = project.host.states / "web/init.sls"
    path.write_text("# a comment\n\n" + path.read_text() + "\n\n{# another #}\n")
    edit("web/init.sls", "- source: salt://web/template", "- source:   salt://web/template")(
        project
    )
    assert project.planned() == {}


def test_force_builds_what_is_asked_for_and_nothing_else(project):
    before = project.ids()
    forced = {"test-web": ["forced"]}
    assert (
        project.planned("test-web", force=True) == project.built("test-web", force=True) == forced
    )
    built = project.host.call("ubiq_docker.build_service", "test-web", force=True)
    after = project.ids()
    assert (built["action"], built["reasons"]) == ("built", ["forced"])
    assert {name for name in after if after[name] != before[name]} == {"test-web"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ 1 / 0 }}\n", "division by zero"),
        ("/srv/x:\n  file.managed\n bad: [\n", "Rendering SLS 'base:most' failed"),
        ("{{ pillar['none']['x'] }}\n", "has no attribute 'none'"),
        ("include: [nowhere]\n", "nowhere"),
        ("/srv/more:\n  file.managed\n", "/srv/more"),
        ("#!py\ndef run():\n    raise OSError('out of luck')\n", "out of luck"),
    ],
)
def test_what_does_not_compile_is_told(project, text, why):
    sls = project.host.states / "most.sls"
    good = sls.read_text()
    sls.write_text(text)
    try:
        planned = project.planned()
        with pytest.raises(CommandExecutionError) as failure:
            project.host.call("ubiq_docker.build_service", "test-web")
    finally:
        sls.write_text(good)
    assert planned.keys() == {"test-web"}
    (reason,) = planned["test-web"]
    assert re.fullmatch("test-web: the states do not compile: .+", reason)
    assert why in str(failure.value)
    project.is_up_to_date = True


def test_what_does_not_compile_stops_no_other(project):
    sls = project.host.states / "most.sls"
    good = sls.read_text()
    sls.write_text("{{ 1 / 0 }}\n")
    project.edit("other.sls", "/srv/other", "/srv/another")
    try:
        results = project.host.call("ubiq_docker.build_all")
    finally:
        sls.write_text(good)
    actions = {name: each["action"] for name, each in results.items()}
    assert (actions.pop("test-web"), actions.pop("test-other")) == ("failed", "built")
    assert set(actions.values()) == {"up-to-date"}
    assert project.planned() == {}


def test_states_see_the_keys_that_their_modules_list_and_never_the_catalogue(project, run_in):
    keys = "{{ pillar.keys() | sort | join(' ') }}"
    project.host.file(
        "most.sls",
        f"""
        /srv/most:
          file.managed:
            - contents:
              - "sls: {keys}"
              - "opts: {keys.replace("pillar", "opts.pillar")}"
              - "get: {{{{ salt['pillar.get']('ubiq', 'none') }}}}"
              - "items: {keys.replace("pillar", "salt['pillar.items']()")}"
        /srv/most.template:
          file.managed:
            - source: salt://most.template
            - template: jinja
        """,
    )
    project.host.file(
        "most.template", f"template: {keys} {{{{ salt['pillar.get']('ubiq', 'none') }}}}"
    )
    built = project.host.call("ubiq_docker.build_service", "test-web")
    seen = run_in(built["image"], "cat", "/srv/most", "/srv/most.template").splitlines()
    assert seen == ["sls: web", "opts: web", "get: none", "items: web", "template: web none"]


def test_pillar_that_no_module_lists_rebuilds_nothing(project):
    project.pillar["unread"] += 1
    project.pillar["unheard"] = {"of": 1}
    project.declare()
    assert project.planned() == {}
    project.pillar["new"] = 1
    project.declare()
    assert project.planned() == {"test-web": ["pillar new added"]}
    project.pillar["other"]["word"] = "another"
    project.declare()
    assert project.built() == {
        "test-web": ["pillar new added"],
        "test-other": ["pillar other:word changed"],
    }


def test_without_a_list_for_each_module_any_key_counts(project):
    declare("mods", ["web", "unlisted"])(project)
    project.host.file("unlisted.sls", "/srv/unlisted:\n  file.managed\n")
    project.built()
    project.pillar["unread"] += 1
    project.declare()
    try:
        assert project.planned() == {"test-web": ["pillar unread changed"]}
    finally:
        declare("mods", ["web", "more", "most"])(project)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_host_and_process_finds_the_same_recipes(project, tmp_path, seed):
    """What is up to date for it has the digest that this one has made."""
    project.host.file(
        "web/dicts.sls",
        """
        {% for name in pillar['web'] %}
        /srv/of/{{ name }}:
          file.managed:
            - makedirs: true
            - contents: {{ grains | length }}
            - context: {{ pillar | json }}
        {% endfor %}
        """,
    )
    declare("mods", ["web", "web.dicts"])(project)
    project.built()
    for name in ("states", "pillar"):
        shutil.copytree(project.host.states.parent / name, tmp_path / "copy" / name, symlinks=True)
    script = dedent(
        """
        import json, pathlib, shutil, sys
        import salt.config, salt.loader
        from tests.conftest import Host

        directory = pathlib.Path(sys.argv[1])
        opts = salt.config.minion_config(None, minion_id="host", cache_minion_id=False)
        host = Host(directory / "new", directory / "cache", dict(salt.loader.grains(opts)))
        shutil.rmtree(host.states)
        shutil.copytree(directory / "copy" / "states", host.states, symlinks=True)
        shutil.copytree(directory / "copy" / "pillar", host.pillar_root, dirs_exist_ok=True)
        plan = host.call("ubiq_docker.plan")
        print(json.dumps({step["name"]: step["reasons"] for step in plan}))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    names = ["test-base", "test-small", "test-other", "test-parent", "test-web"]
    assert json.loads(done.stdout.splitlines()[-1]) == {name: [] for name in names}


def test_a_service_whose_parent_is_gone_is_built_after_it(project, engine):
    engine.remove_image(f"{IMAGES}parent", force=True)
    parent, web = ["no image"], ["parent test-parent is built"]
    assert project.planned("test-web") == {"test-parent": parent, "test-web": web}
    built = project.host.call("ubiq_docker.build_service", "test-web")
    assert built["reasons"] == ["parent test-parent changed"]
    assert project.planned() == {}


def test_an_image_asked_for_otherwise_than_declared_is_told_so(project):
    with pytest.raises(CommandExecutionError, match="no SLS 'nowhere'"):
        project.host.call("ubiq_docker.build_service", "test-web", mods=["nowhere"])
    built = project.host.call("ubiq_docker.build_service", "test-web", mods=["web"], tag="other")
    assert built["reasons"] == ["no image"]
    again = project.host.call("ubiq_docker.build_service", "test-web", mods=["web"], tag="other")
    assert again["action"] == "up-to-date"

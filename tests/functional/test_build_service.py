"""Services from states, on a real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import BASE, IMAGES

WEB = {
    "repository": f"{IMAGES}web",
    "tags": ["1", "latest"],
    "base": "test-base",
    "mods": ["web"],
    "pillar": {"web": {"colour": "blue"}},
    "config": {
        "cmd": ["cat", "/srv/page"],
        "env": {"COLOUR": "blue"},
        "exposed_ports": [80],
        "volumes": ["/data"],
        "user": "www-data",
        "working_dir": "/srv",
        "labels": {"team": "web"},
        "stop_signal": "SIGQUIT",
        "healthcheck": {"test": ["true"], "interval": 5},
    },
    "build": {"environment": {"PROXY": "http://proxy"}},
}


@pytest.fixture
def web(host):
    """A host with a service whose states look at pillar, files and environment."""
    host.file(
        "web/init.sls",
        """
        /srv/page:
          file.managed:
            - contents: "{{ pillar['web']['colour'] }} {{ pillar['web']['shape'] }}"
        /srv/template:
          file.managed:
            - source: salt://web/template
            - template: jinja
        'echo "$PROXY" > /srv/proxy':
          cmd.run: []
        """,
    )
    host.file("web/template", "{% from 'web/imported.jinja' import word %}{{ word }}\n")
    host.file("web/imported.jinja", "{% set word = 'imported' %}\n")
    host.pillar(
        {
            "web": {"colour": "red", "shape": "round"},
            "ubiq": {
                "bases": {"test-base": host.base},
                "services": {"test-web": {**WEB, "extra_filerefs": ["salt://web/imported.jinja"]}},
            },
        }
    )
    return host


def anonymous_volumes(engine):
    names = [volume["Name"] for volume in engine.volumes()["Volumes"] or ()]
    return {name for name in names if re.fullmatch("[0-9a-f]{64}", name)}


def files_of(run_in, reference):
    """Every path in the image."""
    listing = run_in(
        reference,
        "find",
        "/",
        "-xdev",
        "-not",
        "-path",
        "/proc*",
        "-not",
        "-path",
        "/sys*",
        "-not",
        "-path",
        "/dev*",
    )
    return set(listing.splitlines())


def test_a_service_has_what_the_catalogue_declares(web, engine, run_in):
    built = web.call("ubiq_docker.build_service", "test-web")

    assert built["action"] == "built"
    assert built["states"] == {"total": 3, "changed": 3, "failed": []}
    assert built["parent"] == engine.inspect_image(BASE)["Id"]
    for tag in ("1", "latest"):
        assert engine.inspect_image(f"{IMAGES}web:{tag}")["Id"] == built["id"]
    config = engine.inspect_image(built["id"])["Config"]
    assert config["Cmd"] == ["cat", "/srv/page"]
    assert not config["Entrypoint"]
    assert "COLOUR=blue" in config["Env"]
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert (config["User"], config["WorkingDir"]) == ("www-data", "/srv")
    assert config["Labels"]["team"] == "web"
    assert config["Labels"]["org.salt-ubiq.image"] == "test-web"
    assert config["Labels"]["org.salt-ubiq.mods"] == "web"
    assert config["StopSignal"] == "SIGQUIT"
    assert config["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 5_000_000_000}
    # The service's own pillar is merged over the minion's, also below its first level.
    assert run_in(built["image"]) == "blue round"
    # A file that only a template's import names was sent along.
    assert run_in(built["image"], "cat", "/srv/template") == "imported"
    # The build's environment reaches the states and not the image.
    assert run_in(built["image"], "cat", "/srv/proxy") == "http://proxy"
    assert "PROXY" not in str(config)


def test_an_image_differs_from_its_parent_only_by_what_its_states_did(host, run_in):
    host.file(
        "hello.sls",
        "hello:\n  pkg.installed:\n    - install_recommends: False\n"
        "/srv/secret:\n  file.managed:\n    - contents_pillar: password\n",
    )
    host.pillar({"password": "correct horse"})
    built = host.call("ubiq_docker.build_service", f"{IMAGES}hello", base=BASE, mods=["hello"])
    new = files_of(run_in, built["image"]) - files_of(run_in, BASE)
    assert "/usr/bin/hello" in new
    of_package = {path for path in new if "hello" in path}
    assert new - of_package <= {"/srv/secret", "/var/log/apt/term.log", "/var/log/apt/history.log"}
    log = Path(built["log"]).read_text()
    assert "hello: hello (pkg.installed)" in log
    assert "correct horse" not in log


def test_an_ad_hoc_build_takes_lists_and_commas_and_its_parents_config(host, engine, run_in):
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.file("two.sls", "/srv/two:\n  file.managed\n")
    built = host.call("ubiq_docker.build_service", f"{IMAGES}tools", mods=["one", "two"], tag="a,b")
    assert run_in(built["image"], "ls", "/srv") == "one\ntwo"
    assert engine.inspect_image(f"{IMAGES}tools:b")["Id"] == built["id"]
    config, parents = (engine.inspect_image(name)["Config"] for name in (built["id"], BASE))
    labels = config.pop("Labels")
    assert labels["org.salt-ubiq.mods"] == "one,two"
    parents.pop("Labels")
    own = {"Hostname", "Image", "AttachStdout", "AttachStderr", "ContainerConfig"}
    assert {key: value for key, value in config.items() if value and key not in own} == {
        key: value for key, value in parents.items() if value and key not in own
    }


def test_a_child_keeps_its_parents_entrypoint_and_user(host, engine, image_of, run_in):
    parent = image_of(
        f"FROM {BASE}\nENV WORD=kept\nVOLUME /data\nHEALTHCHECK CMD true\nSTOPSIGNAL SIGINT\n"
        'WORKDIR /srv\nSHELL ["/bin/sh", "-ec"]\n'
        'USER www-data\nENTRYPOINT ["/bin/echo", "entry"]\nCMD ["point"]\n',
        "parent",
    )
    volumes = anonymous_volumes(engine)
    host.file("who.sls", "'id -un > /srv/who':\n  cmd.run: []\n")
    built = host.call("ubiq_docker.build_service", f"{IMAGES}child", base=parent, mods="who")
    child, parents = (engine.inspect_image(name)["Config"] for name in (built["id"], parent))
    for key in (
        "Entrypoint",
        "Cmd",
        "User",
        "Env",
        "Volumes",
        "Healthcheck",
        "StopSignal",
        "WorkingDir",
        "Shell",
    ):
        assert child[key] == parents[key], key
    assert run_in(built["image"], "cat", "/srv/who") == "root"
    assert anonymous_volumes(engine) <= volumes


def test_what_only_the_build_container_has_is_not_in_the_images_config(
    host, engine, run_in, tmp_path
):
    (tmp_path / "seen").write_text("seen")
    volumes = anonymous_volumes(engine)
    host.file("see.sls", "'cat /mnt/seen > /srv/seen; touch /scratch/file':\n  cmd.run: []\n")
    build = {
        "binds": [f"{tmp_path}:/mnt:ro"],
        "volumes": ["/scratch"],
        "port_bindings": ["127.0.0.1::80"],
    }
    built = host.call(
        "ubiq_docker.build_service", f"{IMAGES}child", base=BASE, mods="see", build=build
    )
    child, parent = (engine.inspect_image(name)["Config"] for name in (built["id"], BASE))
    for key in ("Volumes", "ExposedPorts"):
        assert child.get(key) == parent.get(key), key
    assert run_in(built["image"], "cat", "/srv/seen") == "seen"
    assert run_in(built["image"], "ls", "-A", "/scratch") == ""
    assert anonymous_volumes(engine) <= volumes


def test_an_image_without_any_command_gets_none(host, engine, image_of):
    parent = image_of(f"FROM {BASE}\nENTRYPOINT []\nCMD []\n", "bare")
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    built = host.call("ubiq_docker.build_service", f"{IMAGES}child", base=parent, mods="one")
    config = engine.inspect_image(built["id"])["Config"]
    assert not config["Cmd"]
    assert not config["Entrypoint"]


def test_missing_parents_are_built_first(host, engine, run_in):
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.file("two.sls", "/srv/two:\n  file.managed\n")
    host.catalogue(
        **{
            "test-two": {"repository": f"{IMAGES}two", "base": "test-one", "mods": ["two"]},
            "test-one": {"repository": f"{IMAGES}one", "base": "test-base", "mods": ["one"]},
        }
    )
    built = host.call("ubiq_docker.build_service", "test-two")
    assert built["parent"] == engine.inspect_image(f"{IMAGES}one")["Id"]
    assert run_in(built["image"], "ls", "/srv") == "one\ntwo"


def test_another_saltenv_has_its_own_states(host, tmp_path, run_in):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "one.sls").write_text(
        "/srv/one:\n  file.managed:\n    - contents_pillar: word\n"
    )
    host.opts["file_roots"] = {"base": [str(host.states)], "dev": [str(tmp_path / "dev")]}
    built = host.call(
        "ubiq_docker.build_service",
        f"{IMAGES}dev",
        base=BASE,
        mods="one",
        saltenv="dev",
        pillar={"word": "from dev"},
    )
    assert run_in(built["image"], "cat", "/srv/one") == "from dev"


def test_what_a_dead_build_left_is_removed_by_the_next(host, engine, cachedir):
    workspace = (cachedir / "ubiq" / "id").read_text()
    name = f"salt-ubiq-{workspace}-0"
    engine.start(engine.create_container(BASE, ["sleep", "60"], name=name))
    engine.tag(BASE, "salt-ubiq.local/build", name)
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    host.call("ubiq_docker.build_service", f"{IMAGES}one", base=BASE, mods="one")
    assert not engine.containers(all=True, filters={"name": name})

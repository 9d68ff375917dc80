"""Services that begin alike share the work, and are the same as without."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tests.conftest import BASE, IMAGES, shared_layers

# Trivial states of many kinds, and a package: its database, logs and users change, too.
ADMIN = """
    hello:
      pkg.installed: []
    admins:
      group.present:
        - gid: 2000
    alice:
      user.present:
        - uid: 2000
        - gid: 2000
        - require:
          - group: admins
    /srv/admin:
      file.directory:
        - user: alice
        - mode: '0750'
    /srv/admin/page:
      file.managed:
        - contents: {{ pillar.get('word', 'word') }}
        - user: alice
        - mode: '0640'
    /srv/admin/link:
      file.symlink:
        - target: page
    /srv/admin/lines:
      file.append:
        - text: one
    'date > /srv/admin/done':
      cmd.run:
        - creates: /srv/admin/done
    """
LAYER = "/srv/beginning:\n  file.managed:\n    - user: root\n"
REACTIONS = {
    "onchanges": "cmd.run:\n    - onchanges:\n      - file: /srv/beginning",
    "onchanges by a glob": "cmd.run:\n    - onchanges:\n      - file: /srv/begin*",
    "onchanges_any": "cmd.run:\n    - onchanges_any:\n      - file: /srv/beginning",
    "onchanges of an SLS": "cmd.run:\n    - onchanges:\n      - sls: begin",
    "watch": "cmd.wait:\n    - watch:\n      - /srv/beginning",
    "listen": "cmd.wait:\n    - listen:\n      - file: /srv/beginning",
}


def service(name, *mods, **more):
    plain = {"repository": f"{IMAGES}{name}", "base": "test-base", "converged": False}
    return {**plain, "mods": list(mods), **more}


def two(host, share=True, **more):
    """A host with two services that begin alike and end differently."""
    host.file("end_a.sls", "/srv/a:\n  file.managed\n")
    host.file("end_b.sls", "/srv/b:\n  file.managed\n")
    host.catalogue(
        **{
            "test-a": service("a", "begin", "end_a", share=share, **more),
            "test-b": service("b", "begin", "end_b", share=share, **more),
        }
    )
    return host


def built(host, *names, **how):
    results = host.call("ubiq_docker.build_all", *names, **how)
    assert {each["action"] for each in results.values()} <= {"built", "up-to-date"}, results
    return {name: results[name] for name in names}


def contents(engine, reference):
    """Everything in the image that a file system has, but for times: its digest, by path."""
    container = engine.create_container(reference, ["true"])
    try:
        exported = io.BytesIO(b"".join(engine.export(container)))
    finally:
        engine.remove_container(container, v=True)
    found = {}
    with tarfile.open(fileobj=exported) as tar:
        for each in tar:
            data = tar.extractfile(each) if each.isreg() else None
            digest = hashlib.sha256(data.read()).hexdigest() if data else None
            owner = (each.uid, each.gid)
            found[each.name] = (each.type, each.mode, owner, each.linkname, digest)
    return found


def config(engine, reference):
    """The image's config, but for what each build has of its own."""
    found = engine.inspect_image(reference)["Config"]
    own = ("org.opencontainers.image.created", "org.salt-ubiq.run")
    labels = {key: value for key, value in found["Labels"].items() if key not in own}
    entrypoint = found["Entrypoint"] or None  # the engine writes none at all in two ways
    return {**found, "Labels": labels, "Entrypoint": entrypoint, "Hostname": "", "Image": ""}


def test_what_two_begin_with_is_built_once_and_the_images_are_the_same_as_without(host, engine):
    host.file("begin.sls", ADMIN)
    more = {"config": {"cmd": ["hello"], "labels": {"a": "b"}, "env": {"A": "b"}}}
    results = built(two(host, **more), "test-a", "test-b", jobs=2)

    (layer,) = shared_layers(engine)
    assert shared_layers(engine) == {layer: "begin on test-base"}
    logs = [Path(result["log"]).read_text() for result in results.values()]
    assert sorted(
        log.count("the layer of begin, which several services share:") for log in logs
    ) == [0, 1]
    base = engine.inspect_image(BASE)["Id"]
    for result in results.values():
        assert engine.inspect_image(result["id"])["Parent"] == layer
        assert result["parent"] == base
    labels = engine.inspect_image(results["test-a"]["id"])["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "test-a"
    assert labels["org.opencontainers.image.base.name"] == BASE
    assert labels["org.opencontainers.image.base.digest"] == base
    assert labels["org.salt-ubiq.image"] == "test-a"
    assert labels["org.salt-ubiq.mods"] == "begin,end_a"
    shared_config = config(engine, results["test-b"]["id"])
    shared = contents(engine, results["test-b"]["id"])

    two(host, share=False, **more)
    first, second = (built(host, "test-b", force=True)["test-b"]["id"] for _ in range(2))
    assert engine.inspect_image(second)["Parent"] == base
    assert config(engine, second) == shared_config
    alone, again = contents(engine, first), contents(engine, second)
    assert alone.keys() == again.keys() == shared.keys()
    noise = {path for path in alone if alone[path] != again[path]}
    assert {path for path in alone if alone[path] != shared[path]} <= noise
    assert noise <= {"srv/admin/done", *(path for path in alone if path.startswith("var/"))}


def test_layers_lie_on_each_other(host, engine, run_in):
    host.file("begin.sls", LAYER)
    host.file("next.sls", "/srv/next:\n  file.managed\n")
    two(host)
    host.catalogue(
        **{
            "test-a": service("a", "begin", "next", "end_a"),
            "test-b": service("b", "begin", "next", "end_b"),
            "test-c": service("c", "begin", "end_b"),
        }
    )
    results = built(host, "test-a", "test-b", "test-c")
    layers = {mods: image for image, mods in shared_layers(engine).items()}
    assert set(layers) == {"begin on test-base", "begin,next on test-base"}
    parents = {name: engine.inspect_image(results[name]["id"])["Parent"] for name in results}
    assert parents == {
        "test-a": layers["begin,next on test-base"],
        "test-b": layers["begin,next on test-base"],
        "test-c": layers["begin on test-base"],
    }
    assert run_in(results["test-a"]["id"], "ls", "/srv") == "a\nbeginning\nnext"


OWN = 'ENTRYPOINT ["env"]\nHEALTHCHECK CMD true\nUSER 1'


@pytest.mark.parametrize(
    ("inherited", "declared"),
    [
        ("", {"cmd": "date", "env": {"A": "b"}, "user": "nobody", "labels": {"a": "b"}}),
        (
            OWN,
            {"entrypoint": ["date"], "healthcheck": {"test": ["true"]}, "exposed_ports": ["80"]},
        ),
    ],
    ids=["a plain parent", "a parent with much"],
)
def test_a_service_that_has_just_what_others_begin_with_is_the_same_as_without(
    host, engine, image_of, inherited, declared
):
    parent = image_of(f"FROM {BASE}\n{inherited}\n", "parent")
    host.file("begin.sls", LAYER)
    configs = {"test-nothing": {}, "test-much": declared}

    def images(share):
        more = {"base": parent, "share": share}
        services = {
            name: service(name, "begin", config=config, **more) for name, config in configs.items()
        }
        host.catalogue(**services)
        results = built(host, *configs, force=not share, jobs=2)
        assert {result["states"]["total"] for result in results.values()} == {1}
        return [results[name]["id"] for name in configs]

    shared = images(True)
    (layer,) = shared_layers(engine)
    status = host.call("ubiq_docker.status", *configs)
    alone = images(False)
    for one, other in zip(shared, alone, strict=True):
        assert engine.inspect_image(one)["Parent"] == layer
        assert engine.inspect_image(other)["Parent"] != layer
        assert config(engine, one) == config(engine, other)
    assert contents(engine, shared[0]) == contents(engine, alone[0])
    assert [each["reasons"] for each in status.values()] == [[], []]


def test_a_state_that_works_twice_undoes_the_sharing(host, engine, run_in):
    """Here one that returns another name than it is declared with."""
    again = "again:\n  module.run:\n    - cmd.shell:\n      - echo line >> /srv/lines\n"
    host.file("begin.sls", again)
    result = built(two(host), "test-a")["test-a"]
    assert run_in(result["id"], "cat", "/srv/lines") == "line"
    assert engine.inspect_image(result["id"])["Parent"] == engine.inspect_image(BASE)["Id"]
    assert built(host, "test-a")["test-a"]["action"] == "up-to-date"
    log = Path(built(host, "test-a", force=True)["test-a"]["log"]).read_text()
    assert "the layer of" not in log


def test_states_that_need_what_no_layer_keeps_work_all_the_same(host, engine, run_in):
    """As a daemon that an earlier state starts, or here a file outside the image."""
    host.file(
        "begin.sls",
        "touch /dev/shm/ready /srv/begun:\n  cmd.run:\n    - creates: /srv/begun\n",
    )
    two(host)
    host.file("end_a.sls", "test -e /dev/shm/ready && touch /srv/a:\n  cmd.run: []\n")
    result = built(host, "test-a")["test-a"]
    (layer,) = shared_layers(engine)
    assert run_in(result["id"], "ls", "/srv") == "a\nbegun"
    assert engine.inspect_image(result["id"])["Parent"] != layer
    assert Path(result["log"]).read_text().count("once more without:") == 1


def test_what_a_later_state_reacts_to_is_not_shared(host, engine, run_in):
    host.file("begin.sls", LAYER)
    two(host)
    host.file(
        "end_a.sls",
        "".join(
            f"echo {name} >> /srv/ran:\n  {reaction}\n" for name, reaction in REACTIONS.items()
        ),
    )
    result = host.call("ubiq_docker.build_service", "test-a")
    assert {*run_in(result["id"], "cat", "/srv/ran").splitlines()} == {*REACTIONS}
    assert engine.inspect_image(result["id"])["Parent"] == engine.inspect_image(BASE)["Id"]


def test_a_layer_sees_the_pillar_of_its_own_modules_and_is_the_same_for_all(host, run_in, engine):
    """What a template of the beginning makes of more pillar in the whole undoes the sharing."""
    host.file("begin.sls", LAYER + "    - source: salt://keys\n    - template: jinja\n")
    host.file("keys", "{{ pillar.keys() | sort | join(' ') }}\n")
    two(host)
    services = {
        "test-a": service("a", "begin", "end_a"),
        "test-b": service("b", "begin", "end_b"),
    }
    keys = {"begin": ["one"], "end_a": ["two"], "end_b": []}
    catalogue = {"bases": {"test-base": host.base}, "services": services, "pillar_keys": keys}
    host.pillar({"ubiq": catalogue, "one": 1, "two": 2, "three": 3})
    results = built(host, "test-b", "test-a", jobs=1)
    assert run_in(results["test-a"]["id"], "cat", "/srv/beginning") == "one two"
    assert run_in(results["test-b"]["id"], "cat", "/srv/beginning") == "one"

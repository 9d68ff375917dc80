"""The whole config of images, key by key: the parent's and the catalogue's, and nothing else."""

from __future__ import annotations

import json
import time

import pytest

from tests.conftest import BASE, IMAGES

SECRET = "hunter2hunter2"
PROXY = f"http://user:{SECRET}@127.0.0.1:9"
PROXIES = {"httpProxy": PROXY, "httpsProxy": PROXY, "ftpProxy": PROXY, "noProxy": "localhost"}
VARIABLES = ["WORD=kept", "HOME_PAGE=a=b", "EMPTY=", "LAST=of all"]
PARENT = f"""
FROM {BASE}
MAINTAINER somebody
ENV WORD=kept HOME_PAGE=a=b EMPTY= LAST="of all"
LABEL team=web org.salt-ubiq.mods=old
EXPOSE 80 53/udp
VOLUME /data
HEALTHCHECK --interval=7s --timeout=6s --start-period=5s --retries=4 CMD true
STOPSIGNAL SIGINT
WORKDIR /srv
SHELL ["/bin/bash", "-ec"]
ONBUILD RUN false
USER www-data
ENTRYPOINT ["/bin/echo", "entry"]
CMD ["point"]
"""
# What is not of an image. Old engines' images have it, without any value.
OF_CONTAINERS = (
    "Hostname Domainname AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Image "
    "OnBuild NetworkDisabled MacAddress StopTimeout ArgsEscaped".split()
)
ENVIRONMENT = r"""
environment:
  cmd.run:
    - name: |
        set -e
        for each in http_proxy https_proxy ftp_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY; do
            test "$(printenv $each)" = "@proxy@"
        done
        test "$no_proxy$NO_PROXY" = localhostlocalhost
        test "$TOKEN" = @secret@-token
        test "$WORD, $HOME_PAGE, $EMPTY, $LAST" = "$OF_PARENT"
        test -z "$HOSTNAME$TERM"
"""


@pytest.fixture
def proxied(host, tmp_path, monkeypatch):
    """A host whose Docker client knows of proxies, and two services that share a layer."""
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": PROXIES}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    states = ENVIRONMENT.replace("@proxy@", PROXY).replace("@secret@", SECRET)
    host.file("environment.sls", states)
    host.file("more.sls", "/srv/more:\n  file.managed\n")
    host.file("fails.sls", "fails:\n  test.fail_without_changes: []\n")
    return host


def service(name, parent, *mods, **declared):
    of_parent = ", , , " if parent == "test-base" else "kept, a=b, , of all"
    build = {
        "environment": {"TOKEN": f"{SECRET}-token", "OF_PARENT": of_parent},
        "binds": [f"/tmp:/{SECRET}:ro"],
        "volumes": [f"/dev/{SECRET}"],
        "port_bindings": ["127.0.0.1::81"],
        "domainname": "example.org",
        "mac_address": "02:00:00:00:00:01",
    }
    return {
        "repository": f"{IMAGES}{name}",
        "base": parent,
        "mods": list(mods),
        "build": build,
        **declared,
    }


def config_of(engine, reference):
    """Its config without labels, and its labels without ours."""
    config = engine.inspect_image(reference)["Config"]
    of_container = {key: config.pop(key, None) for key in OF_CONTAINERS}
    assert not any(of_container.values()) or reference.endswith("parent:latest"), of_container
    labels = config.pop("Labels")
    ours = {key for key in labels if key.startswith(("org.salt-ubiq.", "org.opencontainers."))}
    return config, {key: labels[key] for key in labels if key not in ours}


def test_all_of_an_images_config_is_its_parents_or_the_catalogues(proxied, engine, image_of):
    parent = image_of(PARENT, "parent")
    config = {
        "cmd": ["serve"],
        "entrypoint": ["/init"],
        "env": {"WORD": "other", "NEW": "1"},
        "exposed_ports": ["443"],
        "volumes": ["/more"],
        "user": "nobody",
        "working_dir": "/var",
        "labels": {"team": "db", "new": "1"},
        "stop_signal": "SIGQUIT",
        "healthcheck": {"test": ["false"], "timeout": 2},
    }
    proxied.catalogue(
        **{
            # The layer as it is, and on top of it.
            "test-as-parent": service("as-parent", parent, "environment"),
            "test-declared": service("declared", parent, "environment", "more", config=config),
            "test-fails": service("fails", parent, "environment", "fails", keep_failed=True),
        }
    )
    results = proxied.call("ubiq_docker.build_all", jobs=1)
    actions = {name: result["action"] for name, result in results.items()}
    assert actions["test-as-parent"] == actions["test-declared"] == "built", results
    assert actions["test-fails"] == "failed"

    inherited, labels = config_of(engine, parent)
    assert inherited == {
        "User": "www-data",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Env": [*inherited["Env"][:-4], *VARIABLES],
        "Cmd": ["point"],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 7_000_000_000,
            "Timeout": 6_000_000_000,
            "StartPeriod": 5_000_000_000,
            "Retries": 4,
        },
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Entrypoint": ["/bin/echo", "entry"],
        "StopSignal": "SIGINT",
        "Shell": ["/bin/bash", "-ec"],
    }
    assert config_of(engine, f"{IMAGES}as-parent") == (inherited, labels)
    assert config_of(engine, f"{IMAGES}fails:failed") == (inherited, labels)
    env = [item for item in inherited["Env"] if item != "WORD=kept"]
    declared, labels = config_of(engine, f"{IMAGES}declared")
    assert sorted(declared.pop("Env")) == sorted([*env, "WORD=other", "NEW=1"])
    assert declared == {
        "User": "nobody",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443/tcp": {}},
        "Cmd": ["serve"],
        "Healthcheck": {
            "Test": ["CMD", "false"],
            "Interval": 30_000_000_000,  # the engine's own
            "Timeout": 2_000_000_000,
            "StartPeriod": 1_000_000,
            "Retries": 3,
        },
        "Volumes": {"/data": {}, "/more": {}},
        "WorkingDir": "/var",
        "Entrypoint": ["/init"],
        "StopSignal": "SIGQUIT",
        "Shell": ["/bin/bash", "-ec"],
    }
    assert labels == {"team": "db", "new": "1"}

    made = [image["Id"] for image in engine.images(all=True)]
    assert len(engine.images("salt-ubiq.local/shared")) == 1
    for image in made:
        said = [engine.inspect_image(image), engine.history(image)]
        assert SECRET not in json.dumps(said)


def test_the_engines_events_do_not_tell_the_environment(proxied, engine):
    since = int(time.time())
    proxied.catalogue(**{"test-one": service("one", "test-base", "environment")})
    proxied.call("ubiq_docker.build_service", "test-one")
    events = [*engine.events(since=since, until=int(time.time()) + 1, decode=True)]
    executed = [event for event in events if event["Action"].startswith("exec_create")]
    assert executed
    assert SECRET not in json.dumps(executed)

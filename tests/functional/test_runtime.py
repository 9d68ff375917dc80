"""The Salt runtime: what it makes possible, and what must not be seen of it."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import ipaddress
import json
import multiprocessing
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from salt.exceptions import CommandExecutionError

from salt_ubiq.catalogue.models import Runtime
from salt_ubiq.containers.runtime import RuntimeVolume
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.workspace.slots import Workspace
from tests.conftest import BASE, DEBIAN, IMAGES, volume_names
from tests.support.certificates import self_signed


def build(host, mods="one", base=BASE, **arguments):
    return host.call(
        "ubiq_docker.build_service", f"{IMAGES}built", base=base, mods=mods, **arguments
    )


def paths_of(run_in, reference):
    """Every path in the image with its owner and mode, and every file's content as a digest."""
    script = """
        find / -xdev -type d -printf '%p %U %m\\n'
        find / -xdev -type l -printf '%p %l\\n'
        find / -xdev -type f -printf '%p %U %m\\n'
        find / -xdev -type f -exec sha256sum {} + | awk '{print $2, $1}'
    """
    return set(run_in(reference, "sh", "-c", script).splitlines())


def added_paths(engine, reference):
    """The paths in the image's last layer, also those that a mount hides in any container."""
    with tempfile.TemporaryFile() as saved:
        for chunk in engine.get_image(reference):
            saved.write(chunk)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as tar:
            (manifest,) = json.load(tar.extractfile("manifest.json"))
            layer = tar.extractfile(manifest["Layers"][-1])
            with tarfile.open(fileobj=layer) as content:
                return {f"/{name}" for name in content.getnames()}


def test_a_base_needs_no_python(host, run_in):
    host.file("one.sls", "hello:\n  pkg.installed:\n    - install_recommends: False\n")
    built = build(host, base=DEBIAN)
    assert run_in(built["image"], "hello", "-g", "from packages") == "from packages"
    assert run_in(built["image"], "sh", "-c", "command -v python3 || echo none") == "none"


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_the_same_service_builds_on_other_debians(host, run_in, suite):
    made = f"{IMAGES}debian:{suite}"
    host.file("context/Dockerfile", "ARG FROM\nFROM ${FROM}\nRUN apt-get --version\n")
    base = {
        "repository": f"{IMAGES}{suite}",
        "dockerfile": "salt://context",
        "buildargs": {"FROM": made},
        "bootstrap": {"image": made, "suite": suite, "variant": "apt"},
    }
    service = {"repository": f"{IMAGES}on-{suite}", "base": "test-debian", "mods": ["one"]}
    host.file("one.sls", "hello:\n  pkg.installed:\n    - install_recommends: False\n")
    host.pillar({"ubiq": {"bases": {"test-debian": base}, "services": {"test-on": service}}})
    built = host.call("ubiq_docker.build_service", "test-on")
    assert run_in(built["image"], "hello", "-g", "from packages") == "from packages"
    assert run_in(built["image"], "sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME") == suite


def test_a_base_without_any_tools_gets_a_clear_error(host, engine):
    reference = f"{IMAGES}bare"
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("nothing"))
        engine.import_image_from_data(buffer.getvalue(), repository=reference, tag="latest")
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    with pytest.raises(CommandExecutionError) as failure:
        build(host, base=f"{reference}:latest")
    assert str(failure.value).startswith(
        f"base: {reference}:latest is too bare: a base needs a shell and coreutils"
    )


def test_what_states_start_sees_the_images_own_python_and_environment(host, run_in, image_of):
    lines = {
        "python": 'python3 -c "import sys; print(sys.executable, sys.prefix)"',
        "environment": "env | cut -d= -f1 | tr '\\n' ' '; echo",
        "apt": "apt-get --version | head -n 1 | cut -d' ' -f1",
        "alternatives": "update-alternatives --query pager | head -n 1",
    }
    states = {
        name: {"cmd.run": [{"name": f"({line}) > /srv/{name}"}]} for name, line in lines.items()
    }
    host.file("one.sls", "#!json\n" + json.dumps(states))
    built = build(host)
    printed = run_in(
        built["image"], "sh", "-c",
        "for name in python environment apt alternatives; do cat /srv/$name; done",
    ).splitlines()  # fmt: skip
    assert printed[0] in ("/bin/python3 /usr", "/usr/bin/python3 /usr")
    assert not {"PYTHONHOME", "LD_LIBRARY_PATH", "PYTHONPATH"} & set(printed[1].split())
    assert printed[2] == "apt"
    assert printed[3] == "Name: pager"


def test_pip_installs_into_the_images_own_python(host, run_in, tmp_path):
    """From a wheel of the file server: nothing is fetched."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "setup.py").write_text(
        "import setuptools\n"
        "setuptools.setup(name='ubiq-probe', version='1', py_modules=['probe'])\n"
    )
    (project / "probe.py").write_text("word = 'installed by pip'\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "-w", str(host.states), str(project)],
        check=True,
    )
    wheel = next(host.states.glob("*.whl")).name
    host.file(
        "one.sls",
        f"""
        python3-pip:
          pkg.installed:
            - install_recommends: False
        /srv/{wheel}:
          file.managed:
            - source: salt://{wheel}
        pip:
          pip.installed:
            - name: /srv/{wheel}
            - extra_args: [--break-system-packages]
            - require: [pkg: python3-pip, file: /srv/{wheel}]
        """,
    )
    built = build(host)
    assert run_in(built["image"], "python3", "-c", "import probe; print(probe.word)") == (
        "installed by pip"
    )
    assert run_in(built["image"], "sh", "-c", "ls -A /root/.cache 2>&1 || true").endswith(
        "No such file or directory"
    )


@pytest.mark.parametrize("runtime", [True, False], ids=["runtime", "plain"])
def test_an_image_differs_from_its_parent_by_exactly_what_its_states_did(
    host, run_in, engine, runtime
):
    host.catalogue(runtime=runtime)
    host.file("one.sls", "/srv/one:\n  file.managed:\n    - contents: one\n")
    built = build(host)
    before, after = paths_of(run_in, BASE), paths_of(run_in, built["image"])
    runs = {"/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
    changed = {line for line in before ^ after if line.split()[0] not in runs}
    content = hashlib.sha256(b"one\n").hexdigest()
    assert changed == {"/srv/one 0 644", f"/srv/one {content}"}
    known = {line.split()[0] for line in before}
    assert added_paths(engine, built["id"]) - known == {"/srv/one"}


def test_a_minion_that_states_install_keeps_all_its_files(host, run_in):
    host.file(
        "one.sls",
        """
        {% for name in ('minion', 'minion_id', 'pki/minion/minion.pem', 'minion.d/master.conf') %}
        /etc/salt/{{ name }}:
          file.managed:
            - contents: mine
            - makedirs: True
        {% endfor %}
        /var/log/salt/minion:
          file.managed:
            - makedirs: True
        """,
    )
    built = build(host)
    listing = run_in(built["image"], "find", "/etc/salt", "/var/log/salt", "/var/cache/salt",
                     "-type", "f").splitlines()  # fmt: skip
    assert sorted(line for line in listing if line.startswith("/") and ":" not in line) == [
        "/etc/salt/minion",
        "/etc/salt/minion.d/master.conf",
        "/etc/salt/minion_id",
        "/etc/salt/pki/minion/minion.pem",
        "/var/log/salt/minion",
    ]


@pytest.mark.parametrize("cache", [True, False], ids=["with cache", "without"])
def test_packages_are_cached_outside_the_image(host, run_in, engine, cache):
    host.file("one.sls", "hello:\n  pkg.installed:\n    - install_recommends: False\n")
    volume = f"cache-of-salt-ubiq-{(host.cachedir / 'ubiq' / 'id').read_text()}-0"
    if volume in volume_names(engine):
        engine.remove_volume(volume)
    built = build(host, package_cache=cache)
    assert run_in(built["image"], "ls", "/var/lib/apt/lists") == ""
    assert ".deb" not in run_in(built["image"], "ls", "/var/cache/apt/archives")
    assert (volume in volume_names(engine)) == cache
    if cache:
        mount = engine.create_host_config(binds=[f"{volume}:/cache"])
        container = engine.create_container(BASE, "ls /cache/apt/archives", host_config=mount)
        try:
            engine.start(container)
            engine.wait(container)
            assert b"hello_" in engine.logs(container)
        finally:
            engine.remove_container(container)


def test_salts_own_tls_trusts_what_the_image_trusts(host, run_in, image_of, tmp_path, engine):
    # Where an engine has just been started for the first time, it doesn't name the gateway.
    (config,) = engine.inspect_network("bridge")["IPAM"]["Config"]
    gateway = str(next(ipaddress.ip_network(config["Subnet"]).hosts()))
    certificate, key = self_signed(tmp_path, gateway)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "file").write_text("by https\n")
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www")
    )
    server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        host.file("server.crt", certificate.read_text())
        host.file(
            "one.sls",
            f"""
            /usr/local/share/ca-certificates/test.crt:
              file.managed:
                - source: salt://server.crt
            update-ca-certificates:
              cmd.run:
                - onchanges: [file: /usr/local/share/ca-certificates/test.crt]
            /srv/file:
              file.managed:
                - source: https://{gateway}:{server.server_port}/file
                - skip_verify: True
                - require: [cmd: update-ca-certificates]
            """,
        )
        built = build(host)
        assert run_in(built["image"], "cat", "/srv/file") == "by https"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def volume(engine, cachedir, tmp_path):
    """``volume(**source)``: a runtime volume of that source, removed in the end."""
    made = []

    def make(workspace=tmp_path, **source):
        where = Workspace(str(workspace))
        thin = Thin(Workspace(str(cachedir)), {})
        made.append(RuntimeVolume(Runtime(**source), Engine(), where, thin))
        return made[-1]

    yield make
    for each in made:
        if each.name in volume_names(engine):
            engine.remove_volume(each.name, force=True)


def grains_by(engine, name):
    """The grains that the runtime's Salt sees in the base."""
    mounts = engine.create_host_config(binds=[f"{name}:/dev/salt-ubiq/runtime:ro"])
    salt_call = ["/dev/salt-ubiq/runtime/bin/python3", "/dev/salt-ubiq/runtime/salt_call.py"]
    command = [*salt_call, "/tmp/s", "--local", "--out=json", "-l", "quiet", "grains.items"]
    container = engine.create_container(DEBIAN, command, host_config=mounts)
    try:
        engine.start(container)
        engine.wait(container)
        return json.loads(engine.logs(container, stderr=False))["local"]
    finally:
        engine.remove_container(container)


def test_the_runtimes_python_may_be_an_images(base, volume, engine):
    runtime = volume(image=BASE)
    name = runtime.ensure()
    assert grains_by(engine, name)["pythonversion"][:2] == [3, 11]


def test_the_runtimes_python_may_be_that_of_this_hosts_salt(base, volume, engine):
    runtime = volume(host=True)
    name = runtime.ensure()
    grains = grains_by(engine, name)
    assert grains["pythonversion"][:3] == list(sys.version_info[:3])
    assert grains["oscodename"] == "bookworm"


def test_a_runtime_is_made_once_when_several_want_it_at_once(base, volume, engine):
    runtime = volume(image=BASE)
    with ThreadPoolExecutor(3) as pool:
        names = {future.result() for future in [pool.submit(runtime.ensure) for _ in range(3)]}
    assert names == {runtime.name}
    created = engine.inspect_volume(runtime.name)["CreatedAt"]
    assert volume(image=BASE).ensure() == runtime.name
    assert engine.inspect_volume(runtime.name)["CreatedAt"] == created


def test_a_half_made_runtime_is_made_anew(base, volume, engine):
    runtime = volume(image=BASE)
    engine.create_volume(runtime.name)
    runtime.ensure()
    assert grains_by(engine, runtime.name)["kernel"] == "Linux"


def test_a_runtime_that_somebody_has_changed_is_made_anew_by_the_next_host(
    base, volume, engine, tmp_path
):
    runtime = volume(image=BASE)
    runtime.ensure()
    made = engine.inspect_volume(runtime.name)["CreatedAt"]
    mounts = engine.create_host_config(binds=[f"{runtime.name}:/runtime"])
    forged = "echo forged > /runtime/salt_call.py"
    container = engine.create_container(DEBIAN, ["sh", "-c", forged], host_config=mounts)
    engine.start(container)
    engine.wait(container)
    engine.remove_container(container)
    (tmp_path / "another").mkdir()
    volume(workspace=tmp_path / "another", image=BASE).ensure()
    assert engine.inspect_volume(runtime.name)["CreatedAt"] != made
    assert grains_by(engine, runtime.name)["kernel"] == "Linux"


def test_prune_removes_old_runtimes_and_leftovers_and_caches_only_on_demand(host, engine):
    host.file("one.sls", "/srv/one:\n  file.managed\n")
    build(host)
    mine = (host.cachedir / "ubiq" / "id").read_text()
    dead, cache = f"salt-ubiq-{mine}-0", f"cache-of-salt-ubiq-{mine}-0"
    old = "salt-ubiq-runtime-salt-ubiq-test"
    engine.create_volume(old)
    engine.create_container(BASE, "true", name=dead)
    current = {name for name in volume_names(engine) if name.startswith("salt-ubiq-runtime-")} - {
        old
    }

    would = host.call("ubiq_docker.prune", test=True)
    assert would["leftovers"] == [dead]
    assert old in would["runtimes"]
    assert engine.containers(all=True, filters={"name": dead})

    engine.create_volume(old)
    assert host.call("ubiq_docker.prune", "leftovers") == {"leftovers": [dead]}
    assert not engine.containers(all=True, filters={"name": dead})
    removed = host.call("ubiq_docker.prune", "runtimes")["runtimes"]
    assert old in removed
    assert len(current - set(removed)) == 1
    assert cache in volume_names(engine)
    assert cache in host.call("ubiq_docker.prune", "caches")["caches"]
    assert cache not in volume_names(engine)


def test_after_a_killed_making_of_the_runtime_the_next_build_makes_it(base, volume, engine):
    runtime = volume(image=BASE)
    process = multiprocessing.get_context("fork").Process(target=runtime.ensure)
    process.start()
    filling = {"name": f"{runtime.name}-filling"}
    while not engine.containers(filters=filling):
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()
    started = time.monotonic()
    runtime.ensure()
    assert time.monotonic() - started < 120
    assert grains_by(engine, runtime.name)["kernel"] == "Linux"
    assert not engine.containers(all=True, filters={"name": runtime.name})

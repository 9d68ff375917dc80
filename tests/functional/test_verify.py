"""The checks of an image, in containers of it."""

from __future__ import annotations

import io
import json
import time

import pytest

from salt_ubiq.catalogue.models import Base, Runtime, Service
from salt_ubiq.containers.runtime import RuntimeVolume
from salt_ubiq.containers.session import BuildSession
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.errors import NameTaken
from salt_ubiq.redact import Redactor
from salt_ubiq.verification.checks import verify
from salt_ubiq.workspace.slots import Slot, Workspace
from tests.conftest import BASE, DEBIAN, IMAGES, no_new_images

NAME = "salt-ubiq-test-verify"
WHERE = "ubiq:services:test-web:verify"
# Serves a page on port 8080 that names the host asked for and $GREETING, after $DELAY seconds.
SERVER = """
use IO::Socket::INET;
$SIG{PIPE} = "IGNORE";
warn "starting\\n";
sleep($ENV{DELAY} || 0);
die "no disk\\n" if $ENV{BROKEN};
my $listening = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
while (my $client = $listening->accept) {
    my $request = <$client> or next;
    my $host = "";
    while (<$client>) { $host = $1 if /^Host: (\\S+)/i; last if /^\\r?$/ }
    my $status = $request =~ m{^GET / } ? "200 OK" : "404 Not Found";
    print $client "HTTP/1.0 $status\\r\\n\\r\\nThis is $host. $ENV{GREETING}";
    close $client;
}
"""
HEALTHCHECK = "HEALTHCHECK --interval=1h CMD perl -MIO::Socket::INET -e '{}'\n"
CONNECTS = HEALTHCHECK.format('IO::Socket::INET->new("127.0.0.1:8080") or die "closed\\n"')


MORE = "USER nobody\nVOLUME /data\nEXPOSE 8080\nRUN true\n"


def dockerfile(more="", base=DEBIAN, entrypoint=("perl", "-e", SERVER)):
    return f"FROM {base}\nENV GREETING=Hello\n{more}ENTRYPOINT {json.dumps(entrypoint)}\n"


@pytest.fixture(scope="module")
def works(base, engine):
    """An image with the server and a healthcheck, for all tests of this file."""
    reference = f"{IMAGES}works:latest"
    file = io.BytesIO(dockerfile(f"{MORE}{CONNECTS}").encode())
    with no_new_images(engine):
        messages = list(engine.build(fileobj=file, tag=reference, decode=True, rm=True))
        assert not any("error" in message for message in messages), messages[-3:]
        yield reference


@pytest.fixture
def nothing_left(engine):
    """No container of the name, and no volume, is there that was not before."""

    def seen():
        containers = engine.containers(all=True, filters={"name": NAME})
        return len(containers), {each["Name"] for each in engine.volumes()["Volumes"] or ()}

    before = seen()
    yield
    assert seen() == before


@pytest.fixture
def runtime(base, cachedir):
    """The Salt runtime's volume, already made."""
    workspace = Workspace(str(cachedir))
    volume = RuntimeVolume(Runtime(), Engine(), workspace, Thin(workspace, {}))
    volume.ensure()
    return volume


@pytest.fixture
def check(runtime, nothing_left, tmp_path):
    """``check(reference, *checks)``: what fails, and what is written to the log."""

    def run(reference, *checks, kind=Service, own_python=False, note=None):
        rest = {"base": DEBIAN, "mods": ["web"]}
        if kind is Base:
            rest = {"dockerfile": "salt://web"}
        declared = kind.model_validate(
            {
                "name": "test-web",
                "path": f"ubiq:{'bases' if kind is Base else 'services'}:test-web",
                "repository": "test/web",
                "verify": checks,
                **rest,
            }
        )
        engine = Engine()
        log = []
        session = BuildSession(
            engine=engine, workspace=None, slot=Slot(NAME, tmp_path), opts={}, clean=Redactor(),
            log_path="", log_line=note or log.append,
        )  # fmt: skip
        built = engine.images.existing(reference)
        failures = verify(declared, built, session, None if own_python else runtime)
        return failures, log

    return run


@pytest.mark.parametrize("own_python", [False, True], ids=["runtime", "own python"])
def test_an_image_that_works_passes_every_kind_of_check(works, image_of, check, own_python):
    image = works
    if own_python:
        image = image_of(dockerfile(f"{MORE}{CONNECTS}", BASE), "works-too")
    failures, log = check(
        image,
        {"cmd": '[ "$(id -un) $GREETING" = "nobody Hello" ]'},
        {"cmd": ["sh", "-c", '[ "$GREETING" = Bonjour ]'], "environment": {"GREETING": "Bonjour"}},
        {"file": "/etc/os-release"},
        {"file": "/data"},
        {"port": 8080},
        {"http": {"port": 8080, "text": "This is localhost. Hello"}},
        {"http": {"port": 8080, "path": "/none", "status": 404}},
        {
            "http": {"port": 8080, "host": "a.example", "text": "This is a.example. Guten Tag"},
            "environment": {"GREETING": "Guten Tag"},
        },
        {"healthy": True},
        own_python=own_python,
    )
    assert failures == []
    assert [line.partition(" in ")[0] for line in sorted(log)] == [
        f"{WHERE}:{place}: passed" for place in range(9)
    ]


def test_all_that_fails_is_told_in_the_order_of_the_checks(works, check):
    started = time.monotonic()
    failures, _ = check(
        works,
        {"port": 81, "timeout": 1},
        {"http": {"port": 8080, "status": 301}, "timeout": 1},
        {"cmd": "echo one; echo two; exit 3"},
        {"http": {"port": 8080, "text": "Goodbye"}, "timeout": 1},
        {"port": 8080},
        {"file": "/etc/none"},
        {"http": {"port": 81}, "timeout": 1},
    )
    assert failures == [
        f"{WHERE}:0: nothing accepts connections on port 81 after 1 s",
        f"{WHERE}:1: GET / on port 8080 answers 200 OK, not 301, after 1 s",
        f"{WHERE}:2: echo one; echo two; exit 3: exit status 3:\n    one\n    two",
        f"{WHERE}:3: GET / on port 8080 answers 200 without the text 'Goodbye' after 1 s",
        f"{WHERE}:5: there is no /etc/none",
        f"{WHERE}:6: nothing accepts connections on port 81 after 1 s",
    ]
    assert time.monotonic() - started < 20


def test_the_log_has_what_a_server_printed_that_failed(works, check):
    _, log = check(works, {"port": 81, "timeout": 1})
    assert log == [f"{WHERE}:0: the container's last lines:", "    starting"]


def test_a_server_that_starts_slowly_has_the_time_that_the_check_gives_it(works, check):
    slowly = {"environment": {"DELAY": "2"}}
    assert check(works, {"port": 8080, **slowly}, {"healthy": True, **slowly})[0] == []


def test_a_container_that_ends_fails_at_once_with_its_last_words(works, check):
    started = time.monotonic()
    broken = {"environment": {"BROKEN": "1"}}
    soon = {"environment": {"BROKEN": "1", "DELAY": "2"}}
    failures, _ = check(
        works,
        {"port": 8080, **broken},
        {"http": {"port": 8080}, **soon},
        {"healthy": True, **broken},
        {"healthy": True, "environment": {"BROKEN": "2", "DELAY": "1"}},
    )
    ended = "the container ended with exit status 255:\n    starting\n    no disk"
    assert failures == [f"{WHERE}:{place}: {ended}" for place in range(4)]
    assert time.monotonic() - started < 20


def test_a_command_that_does_not_end_is_ended(base, check):
    started = time.monotonic()
    failures, _ = check(DEBIAN, {"cmd": "echo begun; sleep 60", "timeout": 1})
    said = f"{WHERE}:0: echo begun; sleep 60: not done after 1 s:\n    begun"
    assert failures == [said]
    assert time.monotonic() - started < 15


def test_a_long_output_is_cut_to_its_last_lines(base, check):
    long_line = "head -c 20000 /dev/zero | tr '\\0' x; exit 1"
    failures, log = check(DEBIAN, {"cmd": "seq 1000; exit 1"}, {"cmd": long_line})
    assert failures[0].splitlines()[1:] == [f"    {number}" for number in range(996, 1001)]
    assert failures[1].splitlines()[1:] == ["    " + 300 * "x"]
    assert log[1:51] == [f"    {number}" for number in range(951, 1001)]


def test_what_cannot_be_started_says_so(image_of, check):
    image = image_of(dockerfile(entrypoint=["nginxx"]), "works-not")
    failures, _ = check(image, {"cmd": ["curl", "-V"]}, {"port": 80}, {"port": 81})
    why = 'can\'t be started: exec: "{}": executable file not found in $PATH'
    assert failures == [
        f"{WHERE}:0: curl -V {why.format('curl')}",
        f"{WHERE}:1: the container {why.format('nginxx')}",
        f"{WHERE}:2: the container {why.format('nginxx')}",
    ]


def test_an_unhealthy_image_says_what_its_healthcheck_printed(image_of, check):
    image = image_of(dockerfile("HEALTHCHECK CMD echo no database; exit 1\n"), "works-not")
    failures, _ = check(image, {"healthy": True, "timeout": 3})
    said = "not healthy after 3 s: its HEALTHCHECK ends with 1:\n    no database"
    assert failures == [f"{WHERE}:0: {said}"]


def test_a_healthcheck_that_does_not_end_is_told_of(image_of, check):
    image = image_of(dockerfile("HEALTHCHECK CMD sleep 60\n"), "works-not")
    failures, _ = check(image, {"healthy": True, "timeout": 3})
    said = "not healthy after 3 s: its HEALTHCHECK has not ended once"
    assert failures == [f"{WHERE}:0: {said}"]


def test_what_an_image_has_not_is_told_with_what_to_do(image_of, check):
    image = image_of(f"FROM {DEBIAN}\nCMD []\nHEALTHCHECK NONE\n", "works-not")
    failures, _ = check(image, {"healthy": True}, {"port": 80})
    config = "ubiq:services:test-web:config"
    assert failures == [
        f"{WHERE}:0: the image has no HEALTHCHECK: set {config}:healthcheck",
        f"{WHERE}:1: the image has no command to start: set {config}:cmd",
    ]
    failures, _ = check(image, {"healthy": True}, {"port": 80}, kind=Base)
    where = "ubiq:bases:test-web:verify"
    assert failures == [
        f"{where}:0: the image has no HEALTHCHECK: set HEALTHCHECK in its Dockerfile",
        f"{where}:1: the image has no command to start: set CMD in its Dockerfile",
    ]


def test_without_a_runtime_an_image_without_python_is_told_of(works, check):
    failures, _ = check(works, {"port": 8080}, own_python=True)
    need = "the image needs python3 (ubiq:runtime is false)"
    assert failures[0].startswith(f"{WHERE}:0: port 8080 can't be asked, {need}: env:")


def test_a_link_that_leads_nowhere_is_no_file(image_of, check):
    image = image_of(
        f"FROM {DEBIAN}\nRUN ln -s none /etc/dangling && ln -s /etc/../etc/os-release /etc/leads\n",
        "linked",
    )
    failures, _ = check(image, {"file": "/etc/dangling"}, {"file": "/etc/leads"})
    assert failures == [f"{WHERE}:0: there is no /etc/dangling"]


def test_one_container_bears_the_name_and_publishes_no_port(works, check, engine):
    seen = []

    def look(_):
        seen.append(engine.containers(filters={"name": NAME}))

    bonjour = {"environment": {"GREETING": "Bonjour"}}
    check(works, {"port": 8080}, {"port": 8080, **bonjour}, note=look)
    containers = [container for found in seen for container in found]
    assert [container["Names"] for container in containers] == [[f"/{NAME}"], [f"/{NAME}"]]
    assert [port for container in containers for port in container["Ports"]] == [
        {"PrivatePort": 8080, "Type": "tcp"},
        {"PrivatePort": 8080, "Type": "tcp"},
    ]


def test_nothing_is_left_where_the_checks_are_interrupted(works, check):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(works, {"port": 8080}, note=interrupt)


def test_the_name_of_another_container_is_left_alone(check, engine, base):
    other = engine.create_container(DEBIAN, name=NAME)["Id"]
    try:
        with pytest.raises(NameTaken):
            check(DEBIAN, {"file": "/etc"})
        assert engine.inspect_container(NAME)["Id"] == other
    finally:
        engine.remove_container(other)

"""Mistakes in the pillar of the shipped services."""

from __future__ import annotations

import pytest
from salt.exceptions import CommandExecutionError

from tests.support.shipped_services import with_shipped


@pytest.fixture
def shipped(host):
    """A host with the shipped states, pillar and catalogue."""
    return with_shipped(host)


@pytest.mark.parametrize(
    "mod, pillar, mistake",
    [
        (
            "moodle-componentmgr",
            {"moodle-componentmgr": {"source": "https://example.org/c.phar"}},
            "moodle-componentmgr:source_hash is missing",
        ),
        (
            "web-moodle",
            {"nginx": {"servers": {"one": {"app": "moodle-app"}}}},
            "nginx:servers:one:app: moodle-app is not HOST:PORT",
        ),
        (
            "web-moodle",
            {
                "nginx": {
                    "servers": {"one": {"app": True, "lanes": {"fast": {"php": {"precision": 3}}}}}
                }
            },
            "nginx:servers:one:lanes:fast:php: sets .*precision.* have to set the same",
        ),
        (
            "web-moodle",
            {"nginx": {"servers": {"one": {"app": True, "lanes": {"own": {"timeout": 3}}}}}},
            "nginx:servers:one:lanes:own: needs a location",
        ),
        (
            "app-moodle",
            {"moodle": {"config": {"dbpass": "secret"}}},
            "moodle:config:dbpass: no password in pillar",
        ),
        (
            "app-moodle",
            {"moodle": {"config": {"directorypermissions": 1528}}},
            "moodle:config:directorypermissions: 1528 is not octal",
        ),
    ],
)
def test_a_mistake_in_pillar_is_told_with_its_place(shipped, mod, pillar, mistake):
    with pytest.raises(CommandExecutionError, match=mistake):
        shipped.call(
            "ubiq_docker.build_service",
            "salt-ubiq-test/mistake",
            mods=[mod],
            base="test-base",
            pillar=pillar,
        )


@pytest.mark.parametrize(
    ("service", "selenium", "told"),
    [
        (
            "hub",
            {"source": "http://127.0.0.1:9/selenium-server-4.48.0.jar"},
            "selenium:source_hash: missing",
        ),
        (
            "hub",
            {"source": "salt://server.jar"},
            "selenium:major: is it Selenium 3 or 4?",
        ),
        (
            "node-firefox",
            {"geckodriver": {"source": "http://127.0.0.1:9/geckodriver.tar.gz"}},
            "selenium:geckodriver:source_hash: missing",
        ),
    ],
)
def test_a_mistake_in_seleniums_pillar_is_told_with_its_key(shipped, service, selenium, told):
    with pytest.raises(CommandExecutionError) as raised:
        shipped.call(
            "ubiq_docker.build_service",
            f"test-selenium-{service}",
            pillar={"selenium": selenium},
        )
    assert told in str(raised.value)


def test_a_server_that_is_not_to_be_had_is_told_with_the_keys_to_set(shipped):
    pillar = {"selenium": {"registry": "http://127.0.0.1:9"}}
    with pytest.raises(CommandExecutionError) as raised:
        shipped.call("ubiq_docker.build_service", "test-selenium-hub", pillar=pillar)
    assert "set pillar selenium:registry" in str(raised.value)
    assert "selenium:source_hash" in str(raised.value)

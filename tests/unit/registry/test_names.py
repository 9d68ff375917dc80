"""What images are called in registries, and where these are."""

import pytest

from salt_ubiq.registry.names import host_of, target_of


@pytest.mark.parametrize(
    ("prefix", "reference", "target"),
    [
        ("registry.example.org/team", "ubiq/web:1", "registry.example.org/team/ubiq/web:1"),
        ("registry.example.org", "web:1", "registry.example.org/web:1"),
        ("https://registry.example.org/team/", "web:1", "registry.example.org/team/web:1"),
        ("localhost:5000", "ubiq/web:1", "localhost:5000/ubiq/web:1"),
        ("registry.example.org", "localhost/web:1", "localhost/web:1"),
        ("registry.example.org", "other.example.org:5000/web:1", "other.example.org:5000/web:1"),
        (None, "ubiq/web:1", "ubiq/web:1"),
        (None, "registry.example.org/web:1", "registry.example.org/web:1"),
        # As the engine calls them, lest the image's own name be taken for another.
        ("docker.io", "ubiq/web:1", "ubiq/web:1"),
        ("index.docker.io/", "web:1", "web:1"),
        ("docker.io/library", "debian:12", "debian:12"),
        ("docker.io/team", "web:1", "team/web:1"),
        ("team", "web:1", "team/web:1"),
    ],
)
def test_the_prefix_is_for_repositories_that_name_no_registry(prefix, reference, target):
    assert target_of(reference, prefix) == target


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("debian:12", "docker.io"),
        ("team/web:1", "docker.io"),
        ("docker.io/team/web:1", "docker.io"),
        ("index.docker.io/team/web:1", "docker.io"),
        ("localhost/web", "localhost"),
        ("registry:5000/web:1", "registry:5000"),
        ("Registry.example.org/web@sha256:00", "registry.example.org"),
    ],
)
def test_the_registry_of_an_image_is_found_as_docker_finds_it(reference, host):
    assert host_of(reference) == host

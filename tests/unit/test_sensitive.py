"""Which values of pillar are secret."""

import random
import string
import time

import pytest
import yaml

from salt_ubiq.sensitive import at, secrets
from tests.support.repository import REPOSITORY

VALUE = "Tr0ub4dor and 3 others"
ORDINARY = """
    en_US.UTF-8 | Etc/UTC | /bin/bash | 127.0.0.11 valid=10s | 1920x1080x24 | 64M | 0644 | 3.14
    https://registry.npmjs.org | http://localhost:9200/_cluster/health?wait_for_status=yellow
    https://npm.example.org:4873/@scope/package | git@github.com:moodle/moodle.git
    https://github.com/moodle/moodle/archive/refs/tags/v4.5.1.tar.gz | s3://backups/postgresql
    jdbc:postgresql://db.example.org:5432/moodle?ssl=true | amqp://rabbit.example.org:5672/vhost
    scram-sha-256 | host all all all scram-sha-256 | server-name.example.org | 10.0.0.0/8
    db1.internal.example.com | fe80::1ff:fe23:4567:890a | 00:1A:2B:3C:4D:5E | root:root
    /usr/lib/postgresql/15/bin/pg_ctlcluster | u=rwX,g=rX,o= | dc=example,dc=org
    /var/www/html/wp-content/themes/twenty-twenty-four/assets/css/button-outline.css
    deb [signed-by=/usr/share/keyrings/docker.gpg] https://download.docker.com/linux/debian stable
    sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    sha512-6bDcNzWMDTa9LZ5PGQn3rUtUQk1a5xNw2Y0eBsGgYb9yAbCdeFgHiJkLmNoPqRsTuVwXyZ01234567==
    ubiquitous/debian-python:12 | --no-sandbox | node-v20.11.1-linux-x64.tar.xz
    2026-11-25T19:43:19Z | 20261123T175145Z-c86522 | 1.10.2-rc1+deb12u3 | libapache2-mod-php8.2
    systemd-standalone-tmpfiles | daemon off; | admin@example.org | MOODLE_405_STABLE
    550e8400-e29b-41d4-a716-446655440000 | UUID=550e8400-e29b-41d4-a716-446655440000 / ext4
    com.example.application.configuration.BeanFactoryPostProcessor | 0 4 * * *
    ThisIsAVeryLongCamelCaseNameWithVersion2 | max_connections | TLSv1.2 TLSv1.3
    ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384
    max-age=63072000; includeSubDomains; preload | linux-headers-6.1.0-28-amd64
    default-src 'self'; script-src 'self' https://cdn.example.com | Europe/Berlin
    Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0
    application/vnd.openxmlformats-officedocument.wordprocessingml.document
    org.opencontainers.image.documentation | CN=web.example.org,OU=Operations,O=Example Ltd,C=DE
    net.ipv4.tcp_max_syn_backlog = 4096 | kernel.core_pattern=/var/crash/core.%e.%p
    proxy_set_header X-Forwarded-Proto $scheme; | Listen 0.0.0.0:8080 | user=www-data
    SELECT count(*) FROM mdl_user WHERE deleted = 0 | x86_64-linux-gnu | GPLv3+
    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzS2lCwFhF8kq3v9eXb9Jb3q user@host
    password: | passwordauth no | password = $DB_PASSWORD | the password is in a safe
    postgresql://app:${DB_PASSWORD}@db/app | {{ pillar['x'] }} | host=db user=moodle
"""
TOKENS = {
    "GitHub": "ghp_" + "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW2xY4",
    "AWS": "AKIA" + "QYLPMN5HHHFPZAM2",
    "Slack": "xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1MBS",
    "Stripe": "sk_live_" + "ReTllpYQYfIZu2Jnf2lAPFjD",
    "JWT": (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.c2lnbmF0dXJl"
    ),
    "a hash of a password": "$6$rounds=5000$abcdefgh$" + "x" * 40,
    "base64": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ3vEtu8Ls",
    "base64 for URLs": "dGhpc-lz_YSB0ZXN0IG9m-HJhbmRvbQ7Zk9Qx",
    "hexadecimal digits": "9f86d081884c7d659a2feaa0c55ad015",
    "letters and digits": "k3j4h5g6f7d8s9a0q1w2",
}


def ordinary():
    return [value.strip() for line in ORDINARY.split("\n") for value in line.split(" | ")]


@pytest.mark.parametrize(
    "key",
    "password passwd pwd db_pass DBPassword passphrase userpw requirepass secret SECRET_KEY_BASE "
    "clientSecret token authtoken api_key apikey API-KEY key ssl_key private creds credentials "
    "auth masterauth dsn database_url DATABASE_URL db-url connection_string cert ssl_cert cookie "
    "cookies jwt salt otp psk password2 key_1 tokens2 user_tokens encryption_keys".split(),
)
def test_a_value_under_a_telling_key_is_secret(key):
    assert VALUE in secrets({"app": {key: VALUE}})
    assert VALUE in secrets({"app": {key: [VALUE]}})


@pytest.mark.parametrize(
    "key",
    "user author authors passenger passengers compass bypass keyboard monkey keys_dir host "
    "tokenizer secretary certain concert salted_egg pinned public_key password_file password_env "
    "private_registry token_ttl cookie_domain auth_type auth_method private_network ssl_cert_path "
    "privately database_user url".split(),
)
def test_a_value_under_another_key_is_not(key):
    assert secrets({key: VALUE}) == set()


def test_all_that_is_below_a_key_that_says_secret_is_secret():
    assert secrets({"secrets": {"database": {"name": "moodle"}, "more": [["x1y2"]]}}) == {
        "moodle",
        "x1y2",
    }


@pytest.mark.parametrize(
    "value",
    "ldap Basic /etc/ssl/certs/web.pem salt://web/cert.pem off abc web.example.org "
    ".example.org".split(),
)
def test_plain_words_and_paths_under_a_key_that_may_say_secret_are_not(value):
    assert secrets({"auth": value, "cert": value, "cookie": [value]}) == set()


@pytest.mark.parametrize(
    "value", ["/etc/ssl/private/web.key", "salt://web/key", "~/.ssh/id", "$KEY", "none", True, 123]
)
def test_what_only_says_where_the_secret_is_or_that_there_is_one_is_not(value):
    assert secrets({"password": value, "key": value}) == set()
    assert secrets({"password": {"env": "MOODLE_PASSWORD"}}) == set()


def test_a_password_that_is_a_word_or_a_number_is_secret():
    assert secrets({"password": "moodle", "token": 1234}) == {"moodle", "1234"}


@pytest.mark.parametrize("kind", TOKENS)
def test_what_looks_like_a_secret_is_one_wherever_it_stands(kind):
    token = TOKENS[kind]
    assert token in secrets({"app": {"value": token}})
    assert token in secrets({"list": ["first", {"x": f"use {token} here"}]})
    assert token in secrets({"file": f"first line\nvalue = '{token}'\n"})


@pytest.mark.parametrize("kind", ["GitHub", "JWT", "base64"])
def test_keys_are_looked_at_too(kind):
    assert TOKENS[kind] in secrets({"users": {TOKENS[kind]: {"name": "x"}}})


def test_of_a_url_the_password_is_secret_as_it_stands_and_decoded():
    assert secrets({"url": "postgresql://app:p%40ss%2Fw@db.example.org/app"}) == {
        "p%40ss%2Fw",
        "p@ss/w",
    }
    assert secrets({"url": "redis://:hunter2@cache:6379"}) == {"hunter2"}
    assert "hunter!2" in secrets({"x": ["--proxy=http://user:hunter!2@proxy:3128"]})


def test_of_a_url_with_a_very_short_password_more_is_secret():
    assert secrets({"url": "http://u:pw@host"}) == {"http://u:pw@"}


def test_of_a_text_with_a_private_key_just_that_is_secret():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END RSA PRIVATE KEY-----"
    assert secrets({"bundle": f"# the key\n{key}\n# end\n"}) == {key}


def test_certificates_and_public_keys_are_not():
    body = "MIIBtTCCAVugAwIBAgIUQ3Zk9QxYz7Lm2Rt5Wv8Xn1Bc4Df"
    for what in ("CERTIFICATE", "PUBLIC KEY"):
        text = f"-----BEGIN {what}-----\n{body}\n-----END {what}-----\n"
        assert secrets({"bundle": text}) == set()


@pytest.mark.parametrize(
    "line",
    [
        "password = hunter22",
        "DB_PASSWORD='hunter22'",
        "Server=db;User=app;Pwd=hunter22;",
        "host=db password=hunter22 user=app",
        "$CFG->dbpass = 'hunter22';",
        "https://x.example.org/?user=app&access_token=hunter22",
        "  password: hunter22",
        "--password=hunter22",
    ],
)
def test_what_a_text_gives_to_a_key_that_says_secret_is_secret(line):
    assert secrets({"content": f"first\n{line}\nlast\n"}) == {"hunter22"}


@pytest.mark.parametrize("key", ["source_hash", "sha256", "checksum", "rev", "commit"])
def test_a_checksum_is_not(key):
    assert secrets({key: TOKENS["hexadecimal digits"]}) == set()


def test_ordinary_values_are_not():
    assert {value: found for value in ordinary() if (found := secrets({"x": value}))} == {}


def test_nothing_of_the_shipped_pillar_is_but_the_password_of_a_check():
    found = set()
    for path in (REPOSITORY / "pillar").glob("*.sls"):
        found |= secrets(yaml.safe_load(path.read_text()))
    assert found == {"of-this-check"}


@pytest.mark.parametrize(
    ("letters", "length", "share"),
    [
        (string.ascii_letters + string.digits, 24, 0.9),
        (string.ascii_letters + string.digits + "-_", 32, 0.97),
        (string.ascii_letters + string.digits + "+/", 43, 0.98),
        ("0123456789abcdef", 32, 0.99),
        (string.ascii_lowercase + string.digits, 32, 0.93),
    ],
)
def test_random_text_is_secret(letters, length, share):
    chance = random.Random(1)
    texts = ["".join(chance.choices(letters, k=length)) for _ in range(300)]
    assert sum(text in secrets({"x": text}) for text in texts) >= share * len(texts)


def test_a_value_that_is_named_is_secret_whatever_it_looks_like():
    pillar = {"app": {"motto": "horse", "users": [{"pet": "rabbit"}], "set": {"a": "kitten"}}}
    assert secrets(pillar) == set()
    assert secrets(pillar, ["app:motto"]) == {"horse"}
    assert secrets(pillar, ["app:users:0:pet", "app:set"]) == {"rabbit", "kitten"}
    assert secrets(pillar, ["app:no", "no:motto", "app:motto:x", "app:users:7"]) == set()
    assert at({1: {"x": 2}}, "1:x") == 2


@pytest.mark.parametrize(
    "piece",
    "a|eyJ| |\n|a=|a='|http://|http://x:y|-----BEGIN CERTIFICATE-----\n|"
    "-----BEGIN PRIVATE KEY-----\n|$6$|aB3|listen 80;\n|- a: ".split("|"),
)
def test_a_long_text_is_looked_at_in_linear_time(piece):
    started = time.process_time()
    secrets({"x": piece * (60_000 // len(piece))})
    assert time.process_time() - started < 3


def test_bytes_of_pillar_are_read_as_text():
    assert secrets({"password": b"hunter2"}) == {"hunter2"}

"""The catalogue: what it accepts, what it makes of it, and what it says of mistakes."""

import hmac

import pytest
import yaml

from salt_ubiq.catalogue.models import Base, Questions, Service
from salt_ubiq.catalogue.parse import merged, parse
from tests.unit.catalogue.declared import base, mistakes, mistakes_of_web, service, web

# What it accepts


@pytest.mark.parametrize("nothing", [None, {}, {"bases": None, "services": {}}])
def test_no_declaration_is_an_empty_catalogue(nothing):
    assert list(parse(nothing)) == []


def test_a_base_needs_only_a_repository_and_a_dockerfile():
    image = parse({"bases": {"debian": base()}})["debian"]
    assert isinstance(image, Base)
    assert image.references == ("ubiquitous/debian:latest",)
    assert (image.timeout, image.saltenv, image.bootstrap) == (3600, "base", None)


def test_a_service_needs_only_a_repository_a_base_and_mods():
    image = web()
    assert isinstance(image, Service)
    assert image.reference == "ubiquitous/web:latest"
    assert (image.mods, image.pillar, image.build, image.config.cmd) == (("web",), {}, {}, None)


def test_states_that_do_not_converge_are_warned_of_by_default():
    assert web().converged == "warn"


def test_everything_that_the_schema_has_is_kept():
    declared = {
        "bases": {
            "debian": base(
                tags=["12", "latest"],
                buildargs={"FROM": "debian:12-slim"},
                bootstrap={
                    "image": "debian:12-slim",
                    "suite": "bookworm",
                    "mirror": "http://deb.example.org",
                    "variant": "minbase",
                    "include": ["ca-certificates"],
                    "keyring": "/usr/share/keyrings/debian.gpg",
                },
                network_mode="host",
                timeout=60,
                saltenv="dev",
            )
        },
        "services": {
            "web": service(
                extra_filerefs=["salt://web/macros.sls"],
                pillar={"nginx": {"user": "root"}},
                saltenv="dev",
                network_mode="bridge",
                timeout=1.5,
                config={
                    "cmd": ["nginx"],
                    "entrypoint": ["/init"],
                    "env": {"LANG": "C.UTF-8"},
                    "exposed_ports": ["80/tcp"],
                    "volumes": ["/srv"],
                    "user": "www-data",
                    "working_dir": "/srv",
                    "labels": {"a": "b"},
                    "stop_signal": "SIGQUIT",
                    "healthcheck": {
                        "test": ["true"],
                        "interval": 30,
                        "timeout": 3,
                        "start_period": 5,
                        "retries": 2,
                    },
                },
                build={"binds": ["/a:/b"], "environment": {"A": "b"}},
            )
        },
    }
    plain = parse(declared).to_dict()
    for section, images in declared.items():
        for name, keys in images.items():
            assert plain[section][name] | keys == plain[section][name]


def test_the_plain_form_has_the_defaults_and_is_accepted_again():
    images = parse({"bases": {"debian": base()}, "services": {"web": service(base="debian")}})
    plain = images.to_dict()
    assert plain["services"]["web"]["timeout"] == 3600
    assert plain["bases"]["debian"]["tags"] == ["latest"]
    assert parse(plain).to_dict() == plain


def test_bases_come_before_services():
    images = parse({"services": {"web": service()}, "bases": {"debian": base()}})
    assert [image.name for image in images] == ["debian", "web"]
    assert [image.name for image in images.bases] == ["debian"]


@pytest.mark.parametrize(
    "reference",
    [
        "debian:12",
        "debian:latest",
        "ubiquitous/other",
        "localhost:5000/debian",
        f"debian@sha256:{'0' * 64}",
        f"debian:12@sha256:{'0' * 64}",
        f"sha256:{'0' * 64}",
    ],
)
def test_a_base_may_be_any_image_reference(reference):
    assert web(base=reference).base == reference


def test_a_number_may_be_the_name_of_an_image():
    declared = yaml.safe_load("{12: {repository: debian, dockerfile: /srv}}")
    assert parse({"bases": declared})["12"].repository == "debian"


# Defaults


def test_defaults_lie_under_every_image_that_has_the_key():
    images = parse(
        {
            "defaults": {"timeout": 60, "build": {"binds": ["/a:/a"]}},
            "bases": {"debian": base()},
            "services": {"web": service(), "slow": service(repository="slow", timeout=99)},
        }
    )
    assert [image.timeout for image in images] == [60, 60, 99]
    assert images["web"].build == {"binds": ["/a:/a"]}


def test_defaults_are_merged_key_by_key_and_lists_replaced():
    images = parse(
        {
            "defaults": {"config": {"env": {"A": "1", "B": "1"}, "volumes": ["/a"]}},
            "services": {"web": service(config={"env": {"B": "2"}, "volumes": ["/b"]})},
        }
    )
    config = images["web"].config
    assert (config.env, config.volumes) == ({"A": "1", "B": "2"}, ("/b",))


def test_a_base_that_comes_from_the_defaults_is_checked():
    declared = {"repository": "ubiquitous/web", "mods": ["web"]}
    problems = mistakes(
        {
            "defaults": {"base": "debain"},
            "bases": {"debian": base()},
            "services": {"web": declared},
        }
    )
    assert "no image 'debain' in the catalogue (did you mean 'debian'?)" in problems[0]


def test_tags_that_come_from_the_defaults_are_compared():
    images = parse(
        {
            "defaults": {"tags": ["stable"]},
            "services": {"web": service(), "next": service(tags=["latest"])},
        }
    )
    assert [image.reference for image in images] == [
        "ubiquitous/web:stable",
        "ubiquitous/web:latest",
    ]


# Mistakes: each with its path, all at once


def test_all_mistakes_are_reported_at_once():
    declared = {
        "defaults": {"retrys": 1},
        "bases": {"debian": base(dockerfile="debian"), "empty": None},
        "services": {"web": service(mods=[], config={"exposed_ports": ["x"], "usr": "me"})},
    }
    assert [problem.partition(": ")[0] for problem in mistakes(declared)] == [
        "ubiq:defaults:retrys",
        "ubiq:bases:debian:dockerfile",
        "ubiq:bases:empty",
        "ubiq:services:web:mods",
        "ubiq:services:web:config:exposed_ports:0",
        "ubiq:services:web:config:usr",
    ]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"service": {}}, "ubiq:service: unknown key (did you mean 'services'?)"),
        ({"defaults": {"timeuot": 1}}, "ubiq:defaults:timeuot: unknown key (did you mean"),
        ({"defaults": {"name": "x"}}, "ubiq:defaults:name: unknown key"),
        (
            {"bases": {"debian": base(dockerfil="/srv")}},
            "ubiq:bases:debian:dockerfil: unknown key (did you mean 'dockerfile'?)",
        ),
        (
            {"bases": {"debian": base(bootstrap={"image": "a:1", "suite": "b", "mirrors": "c"})}},
            "ubiq:bases:debian:bootstrap:mirrors: unknown key (did you mean 'mirror'?)",
        ),
        (
            {"services": {"web": service(mod=["a"])}},
            "ubiq:services:web:mod: unknown key (did you mean 'mods'?)",
        ),
        (
            {"services": {"web": service(config={"comand": "a"})}},
            "ubiq:services:web:config:comand: unknown key",
        ),
        (
            {"services": {"web": service(config={"healthcheck": {"test": "a", "retry": 1}})}},
            "ubiq:services:web:config:healthcheck:retry: unknown key (did you mean 'retries'?)",
        ),
    ],
)
def test_an_unknown_key_is_a_mistake_at_every_level(declared, message):
    (problem,) = mistakes(declared)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (["sdb"], "ubiq:questions: "),
        ({"her": ["sdb"]}, "ubiq:questions:her: unknown key (did you mean 'here'?)"),
        ({"here": {"sdb": True}}, "ubiq:questions:here: "),
        ({"image": [1.5]}, "ubiq:questions:image"),
    ],
)
def test_who_answers_questions_is_checked(declared, problem):
    (found,) = mistakes({"questions": declared})
    assert found.startswith(problem)


def test_who_answers_questions():
    assert parse({}).questions == parse({"questions": None}).questions == Questions()
    found = parse({"questions": {"here": "a,b", "image": ["random"]}}).questions
    assert found == Questions(here=("a", "b"), image=("random",))


@pytest.mark.parametrize("value", ["start", True, None, ["started"], ""])
def test_what_services_do_in_a_build_is_one_of_three(value):
    (problem,) = mistakes_of_web(services=value)
    assert problem.startswith("services: ")
    assert "offline" in problem


def test_services_are_started_where_nothing_else_is_declared():
    assert parse({"services": {"web": service()}})["web"].services == "started"
    web = parse({"defaults": {"services": "offline"}, "services": {"web": service()}})["web"]
    assert web.services == "offline"


def test_without_a_near_match_the_known_keys_are_listed():
    (problem,) = mistakes({"images": {}})
    assert (
        problem == "ubiq:images: unknown key; known are bases, defaults, pillar_keys, "
        "questions, recipe_key, registry, runtime, secrets, services"
    )


def test_known_keys_are_those_of_the_level():
    (problem,) = mistakes_of_web(config={"healthcheck": {"test": "a", "xyz": 1}})
    assert problem.endswith("known are interval, retries, start_period, test, timeout")


def test_a_service_has_no_key_name():
    (problem,) = mistakes_of_web(name="other")
    assert problem.startswith("name: unknown key")


@pytest.mark.parametrize("key", ["repository", "base", "mods"])
def test_a_required_key_that_is_missing(key):
    declared = service()
    del declared[key]
    problems = mistakes({"services": {"web": declared}})
    assert problems == [f"ubiq:services:web:{key}: missing, this key is required"]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([], "ubiq: write a mapping with the keys bases and services"),
        ({"services": ["web"]}, "ubiq:services: write a mapping of names to declarations"),
        ({"defaults": 1}, "ubiq:defaults: write a mapping of names to declarations"),
        ({"services": {"web": None}}, "ubiq:services:web: write a mapping, not nothing"),
        (
            {"services": {"web": service(config=1)}},
            "ubiq:services:web:config: write a mapping, not a number",
        ),
    ],
)
def test_what_has_to_be_a_mapping(declared, message):
    assert mistakes(declared) == [message]


@pytest.mark.parametrize("mods", [[], "", ",", " , "])
def test_a_service_without_mods_is_a_mistake(mods):
    assert mistakes_of_web(mods=mods) == ["mods: must not be empty"]


def test_an_image_without_tags_is_a_mistake():
    assert mistakes_of_web(tags=[]) == ["tags: must not be empty"]


def test_a_list_whose_only_item_is_wrong_has_one_mistake():
    (problem,) = mistakes_of_web(mods=[1.5])
    assert problem.startswith("mods:0: ")


def test_merging_lays_mappings_over_each_other_and_changes_neither():
    under = {"a": {"b": 1, "c": [1]}, "d": {"e": 1}, "f": 1}
    over = {"a": {"c": [2]}, "d": 2, "g": {"h": 1}}
    assert merged(under, over) == {"a": {"b": 1, "c": [2]}, "d": 2, "f": 1, "g": {"h": 1}}
    assert under == {"a": {"b": 1, "c": [1]}, "d": {"e": 1}, "f": 1}
    assert over == {"a": {"c": [2]}, "d": 2, "g": {"h": 1}}


# Secrets


def test_secrets_are_paths_into_pillar():
    assert parse({"secrets": ["app:dsn", "motto"]}).secrets == ("app:dsn", "motto")
    assert parse({"secrets": "app:dsn, motto"}).secrets == ("app:dsn", "motto")
    assert parse({}).secrets == ()


@pytest.mark.parametrize("path", ["app::dsn", ":app", "app:"])
def test_what_is_no_path_is_refused(path):
    assert mistakes({"secrets": ["motto", path]}) == [
        f"ubiq:secrets:1: '{path}' is not a path into pillar: write app:dsn, with : between keys"
    ]


def test_secrets_are_not_a_mapping():
    assert mistakes({"secrets": {"app": "dsn"}}) == ["ubiq:secrets: write a list, not a mapping"]


def test_a_recipe_key_is_a_long_text():
    made_with = hmac.digest(b"0123456789abcdef", b"salt-ubiq recipe", "sha256").hex()
    assert parse({"recipe_key": "0123456789abcdef"}).digest_key == made_with
    assert parse({}).digest_key == ""


@pytest.mark.parametrize("key", ["geheim", "", 12345678901234567890, ["0123456789abcdef"], True])
def test_a_recipe_key_that_can_be_guessed_is_refused_and_not_shown(key):
    assert mistakes({"recipe_key": key}) == [
        "ubiq:recipe_key: write a text of at least 16 letters that nobody can guess, such as "
        "`openssl rand -hex 32` prints"
    ]


def test_the_plain_form_has_no_recipe_key():
    assert "0123456789abcdef" not in str(parse({"recipe_key": "0123456789abcdef"}).to_dict())


def runtime(declared):
    return parse({"runtime": declared}).runtime


def test_python_packages_of_the_runtime_are_as_pip_takes_them_in_any_order():
    assert runtime({"pip": "mako>=1,<2"}).pip == ("mako>=1,<2",)
    assert runtime({"host": True, "pip": ["a[b]==1.1", "mako"]}).pip == ("a[b]==1.1", "mako")


@pytest.mark.parametrize("package", ["--index-url=x", "mako, pymysql", "a b", "./wheel"])
def test_what_is_no_python_package_is_refused(package):
    assert mistakes({"runtime": {"pip": [package]}}) == [
        f"ubiq:runtime:pip:0: '{package}' is not a Python package as pip takes it: mako, or "
        "pymysql==1.1"
    ]


def test_a_python_package_has_no_url_which_may_tell_a_password():
    assert mistakes({"runtime": {"pip": ["mako @ https://me:hunter2@example.org/mako.whl"]}}) == [
        "ubiq:runtime:pip:0: write a package by its name and version, as pip's index has it: no URL"
    ]

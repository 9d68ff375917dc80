"""The catalogue: what it accepts, what it makes of it, and what it says of mistakes."""

import pytest
import yaml

from salt_ubiq.catalogue import Base, Catalogue, Service, ad_hoc, changed, merged, parse
from salt_ubiq.errors import CatalogueError, UnknownImage


def base(**keys):
    return {"repository": "ubiquitous/debian", "dockerfile": "/srv/debian", **keys}


def service(**keys):
    return {"repository": "ubiquitous/web", "base": "debian:12", "mods": ["web"], **keys}


def web(**keys):
    return parse({"services": {"web": service(**keys)}})["web"]


def mistakes(data):
    """All mistakes as ``path: message``."""
    with pytest.raises(CatalogueError) as caught:
        parse(data)
    return [str(problem) for problem in caught.value.problems]


def mistakes_of_web(**keys):
    """The mistakes of one service, their paths without what is the same for all."""
    found = mistakes({"services": {"web": service(**keys)}})
    return [problem.removeprefix("ubiq:services:web:") for problem in found]


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
    "repository",
    ["web", "ubiquitous/web", "registry.example.org:5000/a/b", "localhost/web", "a_b/c.d--e__f"],
)
def test_repositories_that_docker_takes(repository):
    assert web(repository=repository).reference == f"{repository}:latest"


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


# YAML's numbers


def test_whole_numbers_of_yaml_become_text():
    declared = yaml.safe_load("tags: [12]\nconfig: {env: {PORT: 80}, user: 33, cmd: [sleep, 60]}")
    image = web(**declared)
    assert image.tags == ("12",)
    assert (image.config.env, image.config.user) == ({"PORT": "80"}, "33")
    assert image.config.cmd == ("sleep", "60")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tags: [1.10]", "tags:0"),
        ("config: {env: {VERSION: 1.10}}", "config:env:VERSION"),
        ("config: {labels: {version: 1.10}}", "config:labels:version"),
        ("config: {cmd: [sleep, 1.10]}", "config:cmd:1"),
    ],
)
def test_a_decimal_number_of_yaml_has_to_be_quoted(text, path):
    message = "1.1 is a number in YAML, which drops digits: write it in quotes"
    assert mistakes_of_web(**yaml.safe_load(text)) == [f"{path}: {message}"]


def test_a_number_may_be_the_name_of_an_image():
    declared = yaml.safe_load("{12: {repository: debian, dockerfile: /srv}}")
    assert parse({"bases": declared})["12"].repository == "debian"


@pytest.mark.parametrize("text", ["tags: [yes]", "config: {env: {DEBUG: on}}"])
def test_a_boolean_of_yaml_is_not_taken_for_text(text):
    (problem,) = mistakes_of_web(**yaml.safe_load(text))
    assert problem.endswith(": write text, not true or false")


# Forms that a person writes


def test_names_may_be_separated_by_commas():
    image = web(mods="admin, web,", extra_filerefs="salt://a,salt://b")
    assert image.mods == ("admin", "web")
    assert image.extra_filerefs == ("salt://a", "salt://b")


def test_one_tag_may_be_written_without_a_list():
    assert web(tags="stable").tags == ("stable",)


def test_tags_may_be_separated_by_commas():
    assert web(tags="12,stable").tags == ("12", "stable")


def test_a_single_number_is_a_tag():
    assert web(tags=12).tags == ("12",)


def test_a_command_as_a_string_is_run_by_the_shell():
    config = web(config={"cmd": "nginx -t && nginx", "entrypoint": ["/init"]}).config
    assert config.cmd == ("/bin/sh", "-c", "nginx -t && nginx")
    assert config.entrypoint == ("/init",)


def test_an_empty_command_is_not_the_same_as_none():
    config = web(config={"cmd": []}).config
    assert config.cmd == ()
    assert config.entrypoint is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [(80, "80/tcp"), ("80", "80/tcp"), ("53/udp", "53/udp"), ("65535/sctp", "65535/sctp")],
)
def test_a_port_without_a_protocol_is_tcp(written, meant):
    assert web(config={"exposed_ports": [written]}).config.exposed_ports == (meant,)


@pytest.mark.parametrize("port", [0, 65536, "80/http", "http", "8000-8010", "-1"])
def test_what_is_not_a_port_is_refused(port):
    assert mistakes_of_web(config={"exposed_ports": [port]}) == [
        f"config:exposed_ports:0: '{port}' is not a port: write 80, 80/tcp or 53/udp"
    ]


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


def test_without_a_near_match_the_known_keys_are_listed():
    (problem,) = mistakes({"images": {}})
    assert (
        problem == "ubiq:images: unknown key; known are bases, defaults, pillar_keys, "
        "recipe_key, registry, runtime, secrets, services"
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


@pytest.mark.parametrize(
    "repository",
    ["ubiquitous/web:1", "ubiquitous/Web", "-web", "a//b", "a/", "a b", "a___b", "web@sha256"],
)
def test_a_repository_that_docker_refuses(repository):
    (problem,) = mistakes_of_web(repository=repository)
    assert problem.startswith(f"repository: Docker refuses '{repository}' as a repository: ")


def test_capital_letters_without_a_registry_are_refused_as_docker_does():
    (problem,) = mistakes_of_web(repository="Ubiquitous/web")
    assert problem.startswith("repository: Docker refuses 'Ubiquitous/web' as a repository: ")


def test_a_repository_too_long_for_docker_is_refused():
    (problem,) = mistakes_of_web(repository="a" * 256)
    assert problem.startswith("repository: ")


@pytest.mark.parametrize("tag", [".1", "-1", "a b", "a:b", "é", "a" * 129])
def test_a_tag_that_docker_refuses(tag):
    (problem,) = mistakes_of_web(tags=["ok", tag])
    assert problem.startswith(f"tags:1: Docker refuses '{tag}' as a tag: ")


@pytest.mark.parametrize("name", ["Web", "a b", ".web", "-web", "a/b", ""])
def test_a_name_that_is_refused(name):
    (problem,) = mistakes({"services": {name: service()}})
    assert problem.endswith("a name has lower-case letters, digits, . _ and -, the first no sign")


@pytest.mark.parametrize("key", ["volumes", "working_dir"])
def test_paths_of_the_image_are_absolute(key):
    value = "srv/www" if key == "working_dir" else ["srv/www"]
    (problem,) = mistakes_of_web(config={key: value})
    assert problem.endswith(": 'srv/www' is not an absolute path")


def test_a_dockerfile_is_a_url_or_an_absolute_directory():
    assert mistakes({"bases": {"debian": base(dockerfile="docker/debian")}}) == [
        "ubiq:bases:debian:dockerfile: "
        "'docker/debian' is neither a salt:// URL nor an absolute directory"
    ]
    assert parse({"bases": {"debian": base(dockerfile="salt://debian")}})["debian"]


def test_a_file_reference_is_a_salt_url():
    assert mistakes_of_web(extra_filerefs=["salt://a", "/b"]) == [
        "extra_filerefs:1: '/b' is not a salt:// URL"
    ]


@pytest.mark.parametrize("timeout", [0, -1, "1h", float("inf")])
def test_a_timeout_is_a_number_of_seconds_that_ends(timeout):
    (problem,) = mistakes_of_web(timeout=timeout)
    assert problem.startswith("timeout: ")


def test_what_the_build_sets_itself_is_no_argument_of_the_container():
    assert mistakes_of_web(build={"stop_timeout": 1, "entrypoint": "a", "binds": []}) == [
        "build: entrypoint, stop_timeout: set by the build itself, remove it"
    ]


# Mistakes between images


def test_a_bare_base_that_is_no_image_is_an_unknown_name():
    declared = {
        "bases": {"debian-python": base()},
        "services": {"web": service(base="debian-pyton")},
    }
    assert mistakes(declared) == [
        "ubiq:services:web:base: no image 'debian-pyton' in the catalogue (did you mean "
        "'debian-python'?); an image from outside is written with its tag (debian-pyton:latest)"
    ]


@pytest.mark.parametrize("reference", ["debian:", "Debian:12", ":12", "a b:c", "debian:é"])
def test_a_base_that_cannot_be_an_image_reference(reference):
    assert mistakes_of_web(base=reference) == [
        f"base: '{reference}' is not an image reference such as debian:12"
    ]


def test_two_images_cannot_have_the_same_repository_and_tag():
    declared = {
        "services": {
            "web": service(tags=["1", "latest"]),
            "next": service(),
            "other": service(tags=["2"]),
        }
    }
    assert mistakes(declared) == ["ubiq:services:next: ubiquitous/web:latest is also web's"]


def test_a_base_and_a_service_cannot_have_the_same_name():
    declared = {"bases": {"web": base()}, "services": {"web": service()}}
    assert mistakes(declared) == ["ubiq:services:web: the name is taken by ubiq:bases:web"]


def test_a_service_built_from_itself():
    assert mistakes_of_web(base="web") == ["base: built from itself: web -> web"]


def test_services_built_from_each_other_by_name():
    declared = {
        "services": {
            "a": service(repository="a", base="b"),
            "b": service(repository="b", base="c"),
            "c": service(repository="c", base="a"),
        }
    }
    (problem,) = mistakes(declared)
    assert problem.endswith(
        (
            "a:base: built from itself: a -> b -> c -> a",
            "b:base: built from itself: b -> c -> a -> b",
            "c:base: built from itself: c -> a -> b -> c",
        )
    )


@pytest.mark.parametrize("reference", ["ubiquitous/b:latest", "ubiquitous/b"])
def test_services_built_from_each_other_by_reference(reference):
    declared = {
        "services": {
            "a": service(repository="ubiquitous/a", base=reference),
            "b": service(repository="ubiquitous/b", base="a"),
        }
    }
    (problem,) = mistakes(declared)
    assert problem.partition(": ")[2] in (
        "built from itself: a -> b -> a",
        "built from itself: b -> a -> b",
    )


def test_another_tag_of_its_own_repository_is_no_cycle():
    assert web(tags=["2"], base="ubiquitous/web:1").base == "ubiquitous/web:1"


def test_a_name_goes_before_a_repository_in_looking_for_cycles_too():
    images = parse(
        {
            "bases": {"debian": base()},
            "services": {"tools": service(repository="debian", base="debian")},
        }
    )
    assert images.parent_of(images["tools"]) is images["debian"]


def test_mistakes_between_images_are_found_beside_those_within():
    declared = {"services": {"web": service(base="web", mods=[], timeout=0)}}
    assert [problem.partition(": ")[0] for problem in mistakes(declared)] == [
        "ubiq:services:web:timeout",
        "ubiq:services:web:mods",
        "ubiq:services:web:base",
    ]


# Looking things up


@pytest.fixture
def images() -> Catalogue:
    return parse(
        {
            "bases": {"debian": base(tags=["12", "latest"])},
            "services": {
                "web": service(base="debian"),
                "by-reference": service(repository="a", base="ubiquitous/debian:12"),
                "by-repository": service(repository="b", base="ubiquitous/debian"),
                "from-outside": service(repository="c", base="ubiquitous/debian:11"),
            },
        }
    )


@pytest.mark.parametrize("name", ["web", "by-reference", "by-repository"])
def test_the_parent_is_found_by_name_and_by_reference(images, name):
    assert images.parent_of(images[name]) is images["debian"]


@pytest.mark.parametrize("name", ["from-outside", "debian"])
def test_what_is_built_from_outside_has_no_parent_in_the_catalogue(images, name):
    assert images.parent_of(images[name]) is None


def test_an_image_is_found_by_its_name_and_by_its_repository(images):
    assert images.find("debian") is images["debian"]
    assert images.find("ubiquitous/debian") is images["debian"]
    assert images.find("nothing") is None


def test_of_several_images_in_a_repository_the_first_is_found():
    images = parse({"services": {"new": service(), "old": service(tags=["1"])}})
    assert images.find("ubiquitous/web") is images["new"]


def test_a_name_that_the_catalogue_lacks_is_an_error_with_a_near_match(images):
    with pytest.raises(UnknownImage, match="did you mean 'debian'"):
        images["debain"]


@pytest.mark.parametrize("repository", ["ubiquitous/web", "web"])
def test_an_image_says_where_its_keys_stand(repository):
    assert web(repository=repository).where("mods") == "ubiq:services:web:mods"


def test_a_base_says_where_its_keys_stand(images):
    assert images["debian"].where("dockerfile") == "ubiq:bases:debian:dockerfile"


# Without, and beside, the catalogue


def test_an_ad_hoc_service_is_named_after_its_repository():
    image = ad_hoc("ubiquitous/tools", base="debian:12", mods="admin")
    assert (image.name, image.reference) == ("ubiquitous/tools", "ubiquitous/tools:latest")
    assert image.where("mods") == "mods"


def test_the_mistakes_of_an_ad_hoc_service_have_the_arguments_as_paths():
    with pytest.raises(CatalogueError) as caught:
        ad_hoc("ubiquitous/Tools", base="debian:12", mods="", config={"cmdd": 1})
    title, *problems = str(caught.value).splitlines()
    assert title == "the build of ubiquitous/Tools has 3 mistakes:"
    assert [problem.strip().partition(": ")[0] for problem in problems] == [
        "repository",
        "mods",
        "config:cmdd",
    ]


def test_a_changed_service_keeps_the_rest():
    before = web(tags=["1"], config={"cmd": "nginx"}, pillar={"a": {"b": 1}})
    after = changed(before, mods="admin,web", pillar={"c": 1})
    assert after == before.model_copy(update={"mods": ("admin", "web"), "pillar": {"c": 1}})


def test_a_change_is_validated():
    with pytest.raises(CatalogueError, match="mods: must not be empty"):
        changed(web(), mods=[])


def test_merging_lays_mappings_over_each_other_and_changes_neither():
    under = {"a": {"b": 1, "c": [1]}, "d": {"e": 1}, "f": 1}
    over = {"a": {"c": [2]}, "d": 2, "g": {"h": 1}}
    assert merged(under, over) == {"a": {"b": 1, "c": [2]}, "d": 2, "f": 1, "g": {"h": 1}}
    assert under == {"a": {"b": 1, "c": [1]}, "d": {"e": 1}, "f": 1}
    assert over == {"a": {"c": [2]}, "d": 2, "g": {"h": 1}}


# What services have in common


def beginnings(name="a", **services):
    declared = {
        key: {**service(repository=f"ubiquitous/{key}"), **keys} for key, keys in services.items()
    }
    catalogue = parse({"bases": {"debian": base()}, "services": declared})
    return [",".join(mods) for mods in catalogue.shared_beginnings(catalogue[name])]


def test_what_another_service_begins_with_too_is_shared():
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b"}) == ["one"]
    assert beginnings(a={"mods": "one,two,a"}, b={"mods": "one,two,b"}) == ["one,two"]


def test_several_beginnings_come_the_shortest_first():
    services = {"a": "one,two,a", "b": "one,two,b", "c": "one,c", "d": "d"}
    assert beginnings(**{name: {"mods": mods} for name, mods in services.items()}) == [
        "one",
        "one,two",
    ]


def test_all_of_a_service_may_be_what_another_begins_with():
    assert beginnings(a={"mods": "one"}, b={"mods": "one,b"}) == ["one"]
    assert beginnings(a={"mods": "one,two"}, b={"mods": "one,two"}) == ["one,two"]


@pytest.mark.parametrize("mods", ["b,one", "two", "one.two"])
def test_what_no_other_service_begins_with_is_not_shared(mods):
    assert beginnings(a={"mods": "one,a"}, b={"mods": mods}) == []


@pytest.mark.parametrize("name", ["a", "b"])
def test_who_is_not_to_share_does_not_and_nobody_with_it(name):
    services = {"a": {"mods": "one,a"}, "b": {"mods": "one,b"}}
    services[name] = {**services[name], "share": False}
    assert beginnings(**services) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"base": "debian:13"},
        {"saltenv": "dev"},
        {"pillar": {"word": "other"}},
        {"build": {"binds": ["/srv:/srv"]}},
        {"network_mode": "none"},
        {"extra_filerefs": ["salt://one/import.jinja"]},
    ],
)
def test_services_in_which_the_same_states_may_do_something_else_share_nothing(keys):
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b", **keys}) == []


@pytest.mark.parametrize(
    "keys", [{"config": {"cmd": "serve"}}, {"tags": ["1"]}, {"retries": 1}, {"timeout": 1}]
)
def test_what_changes_nothing_in_the_states_keeps_nobody_from_sharing(keys):
    assert beginnings(a={"mods": "one,a"}, b={"mods": "one,b", **keys}) == ["one"]


# What Docker, a file system or Salt's command line can't take


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("timeout: 1000000000000", "timeout: write a number up to 3.1536e+07"),
        ("retries: 9223372036854775808", "retries: write a number up to 1000"),
        ("config: {healthcheck: {test: []}}", "config:healthcheck:test: must not be empty"),
        (
            "config: {healthcheck: {test: x, interval: 1.0e+300}}",
            "config:healthcheck:interval: write a number up to 3.1536e+07",
        ),
        (
            "config: {healthcheck: {test: x, interval: 0.00001}}",
            "config:healthcheck:interval: write a number from 0.001",
        ),
        ("build: {environment: [A=b]}", "build: environment: write a mapping of names to values"),
        ("build: {environment: null}", "build: environment: write a mapping of names to values"),
        (
            "build: {bnids: []}",
            "build: bnids: docker.create has no such argument (did you mean 'binds'?)",
        ),
        (
            "config: {stop_signal: SIGFOO}",
            "config:stop_signal: 'SIGFOO' is not a signal: write one as SIGTERM, or its number",
        ),
        ("config: {volumes: [/]}", "config:volumes:0: / itself can't be a volume"),
        ("config: {env: {A=B: c}}", "config:env:A=B: the name of a variable has no ="),
        ("config: {entrypoint: ''}", "config:entrypoint: must not be empty: write [] for none"),
        ('config: {user: "a\\0b"}', "config:user: has a NUL character, which no text of Docker's"),
        ("mods: !!binary YQ==", "mods: write a list, not binary data"),
    ],
)
def test_what_would_fail_later_is_refused_with_its_place(declared, told):
    (problem,) = mistakes_of_web(**yaml.safe_load(declared))
    assert problem.startswith(told)


@pytest.mark.parametrize("stop_signal", ["SIGRTMIN+3", "quit", 15, "SIGWINCH"])
def test_a_stop_signal_is_any_that_docker_knows(stop_signal):
    assert web(config={"stop_signal": stop_signal}).config.stop_signal == str(stop_signal)


@pytest.mark.parametrize("name", ["1.10", "true", "null", "0x10"])
def test_a_name_that_salts_command_line_takes_for_another_value_is_refused(name):
    (problem,) = mistakes({"services": {name: service()}})
    assert problem.startswith(f"ubiq:services:{name}: another value on Salt's command line")


def test_a_name_too_long_for_a_file_is_refused():
    name = "a" * 129
    assert mistakes({"services": {name: service()}}) == [
        f"ubiq:services:{name}: a name has at most 128 letters"
    ]


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
    assert parse({"recipe_key": "0123456789abcdef"}).recipe_key == "0123456789abcdef"
    assert parse({}).recipe_key is None


@pytest.mark.parametrize("key", ["geheim", "", 12345678901234567890, ["0123456789abcdef"], True])
def test_a_recipe_key_that_can_be_guessed_is_refused_and_not_shown(key):
    assert mistakes({"recipe_key": key}) == [
        "ubiq:recipe_key: write a text of at least 16 letters that nobody can guess, such as "
        "`openssl rand -hex 32` prints"
    ]


def test_the_plain_form_has_no_recipe_key():
    assert "0123456789abcdef" not in str(parse({"recipe_key": "0123456789abcdef"}).to_dict())

"""Ways by which a secret could get out that need no engine to be tried."""

import logging

import pytest

from salt_ubiq import dockerfile
from salt_ubiq.catalogue import ad_hoc, parse
from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import BuildError, CatalogueError, EngineError, PillarError
from salt_ubiq.host import Host
from salt_ubiq.proof import prove
from salt_ubiq.redact import Redactor
from salt_ubiq.site import Sites
from salt_ubiq.thin import Thin
from salt_ubiq.workspace import Workspace

SECRET = "hunter2-hunter2"
WEB = {"repository": "web", "base": "debian:12", "mods": ["web"]}
INFO = ImageInfo("sha256:1", {"Cmd": ["web"]}, 1)


class Engine:
    """Has one container, that has ended and printed ``says``."""

    def __init__(self, says=(), proxies=None):
        self.says = says
        self.proxies = proxies or {}

    def remove_container(self, _):
        return False

    def remove_image(self, _):
        return True

    def references(self, _):
        return []

    def has_container(self, _):
        return False

    def existing(self, _):
        return INFO

    def image(self, _):
        return INFO

    def trial(self, *_, **__):
        return self

    def __enter__(self):
        return "container"

    def __exit__(self, *_):
        return None

    def try_start(self, _):
        return ""

    def state(self, _):
        return {"Status": "exited", "ExitCode": 1}

    def last_lines(self, *_):
        return self.says

    def build(self, **_):
        yield {"stream": f"Step 1/1 : RUN login {SECRET}\n"}
        yield {"stream": f"token is {SECRET}\n"}
        yield {"error": f"login {SECRET} failed"}


@pytest.fixture
def sites(tmp_path):
    """``sites(catalogue, pillar, opts)``: sites of an engine that has nothing."""

    def make(catalogue=None, pillar=None, opts=None, engine=None):
        workspace, opts = Workspace(str(tmp_path)), {"cachedir": str(tmp_path), **(opts or {})}
        thin = Thin(workspace, opts)
        return Sites(engine or Engine(), workspace, thin, opts, pillar or {}, parse(catalogue))

    return make


def host(pillar, opts=None):
    return Host({}, {"cachedir": "/none", **(opts or {})}, pillar, {})


# Where they are looked for


@pytest.mark.parametrize(
    ("catalogue", "pillar", "opts", "declared"),
    [
        ({}, {"password": SECRET}, {}, {}),
        ({"secrets": ["app:motto"]}, {"app": {"motto": SECRET}}, {}, {}),
        ({}, {}, {}, {"pillar": {"password": SECRET}}),
        ({"secrets": ["app:motto"]}, {}, {}, {"pillar": {"app": {"motto": SECRET}}}),
        ({}, {}, {}, {"build": {"environment": {"TOKEN": SECRET}}}),
        ({}, {}, {"ubiq": {"defaults": {"build": {"environment": {"TOKEN": SECRET}}}}}, {}),
        ({}, {}, {"docker-registries": {"hub": {"password": SECRET}}}, {}),
        ({"recipe_key": SECRET + SECRET}, {"ubiq": {"recipe_key": SECRET + SECRET}}, {}, {}),
    ],
)
def test_secrets_are_known_wherever_a_build_has_them_from(sites, catalogue, pillar, opts, declared):
    with sites(catalogue, pillar, opts).site("web", declared) as site:
        assert SECRET not in site.clean(f"it is {SECRET}{SECRET} or {SECRET}") or catalogue.get(
            "recipe_key"
        )
        assert SECRET + SECRET not in site.clean(SECRET + SECRET)


def test_the_password_of_a_proxy_is_known(sites):
    proxies = {"http_proxy": f"http://user:{SECRET}@proxy.example.org:3128"}
    with sites(engine=Engine(proxies=proxies)).site("web") as site:
        assert site.clean(proxies["http_proxy"]) == "http://user:******@proxy.example.org:3128"


def test_what_one_build_knows_another_does_not(sites):
    made = sites()
    with made.site("web", {"pillar": {"password": SECRET}}):
        pass
    with made.site("db") as site:
        assert site.clean(SECRET) == SECRET


def test_the_paths_of_secrets_are_none(sites):
    declared = {"secrets": ["app:motto"]}
    pillar = {"ubiq": declared, "app": {"motto": SECRET}}
    with sites(declared, pillar, {"ubiq": declared}).site("web") as site:
        assert site.clean("pillar app:motto changed") == "pillar app:motto changed"


# Where they could get out


def test_whatever_goes_wrong_in_a_build_tells_none(sites):
    with pytest.raises(EngineError) as caught, sites(pillar={"password": SECRET}).site("web"):
        raise EngineError(f"the engine says: {SECRET}")
    assert str(caught.value) == "the engine says: ******"


def test_a_log_has_none(sites, tmp_path):
    with sites(pillar={"password": SECRET}).logged("web", {}) as site:
        site.log_line(f"it is {SECRET}")
    assert (tmp_path / "ubiq" / "logs" / "web.log").read_text() == "it is ******\n"
    assert (tmp_path / "ubiq" / "logs" / "web.log").stat().st_mode & 0o777 == 0o600


def test_a_dockerfile_that_fails_tells_none(sites, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "salt_ubiq")
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM debian:12\n")
    declared = {"repository": "small", "dockerfile": str(context), "buildargs": {"TOKEN": SECRET}}
    base = parse({"bases": {"small": declared}})["small"]
    made = sites()
    with (
        pytest.raises(BuildError) as caught,
        made.logged("small", {"buildargs": base.buildargs}) as site,
    ):
        dockerfile.build(base, site, "run")
    log = (tmp_path / "ubiq" / "logs" / "small.log").read_text()
    for text in (str(caught.value), caplog.text, log):
        assert "login ******" in text
        assert SECRET not in text


def test_the_password_of_a_mirror_is_in_no_recipe(sites, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    mirror = f"http://user:{SECRET}@mirror.example.org"
    bootstrap = {"image": "debian:12", "suite": "bookworm", "mirror": mirror}
    declared = {"repository": "x", "dockerfile": str(tmp_path), "bootstrap": bootstrap}
    base = parse({"bases": {"x": declared}})["x"]
    with sites(pillar={"ubiq": {"bases": {"x": declared}}}).site("x") as site:
        recipe = dockerfile.recipe_of(base, site, {})
    assert "user:******@mirror.example.org" in str(recipe.to_dict())


@pytest.mark.parametrize("around", range(280, 300, 5))
def test_a_check_that_prints_one_where_its_line_is_cut_shows_no_part_of_it(sites, around):
    line = "x" * around + SECRET
    engine = Engine(says=[line])
    command = "y " * 40 + SECRET
    web = ad_hoc(**WEB, verify=[{"cmd": [command]}], converged=False)
    with sites(pillar={"password": SECRET}, engine=engine).site("web") as site:
        (failure,) = prove(web, INFO, None, site, None).failures
    assert "hun" not in failure


def test_the_catalogue_as_people_see_it_has_none():
    secret_web = {**WEB, "pillar": {"db": {"password": SECRET}}, "config": {"cmd": ["x", SECRET]}}
    shown = host({"ubiq": {"services": {"web": secret_web}}}).catalogue()
    assert shown["services"]["web"]["pillar"] == {"db": {"password": "******"}}
    assert shown["services"]["web"]["config"]["cmd"] == ["x", "******"]
    assert parse(shown)["web"].mods == ("web",)


def test_a_password_that_is_a_name_leaves_the_catalogue_valid():
    web = {**WEB, "repository": "u/moodle", "mods": ["moodle"], "config": {"exposed_ports": [5432]}}
    pillar = {"ubiq": {"services": {"moodle": web}}, "password": "moodle", "pin": 5432}
    shown = host(pillar).catalogue()
    assert parse(shown)["moodle"].references == ("u/moodle:latest",)


def test_mistakes_in_the_catalogue_tell_none():
    bad = {"repository": f"https://user:{SECRET}@registry.example.org/web"}
    with pytest.raises(CatalogueError) as caught:
        host({"ubiq": {"services": {"web": {**WEB, **bad}}}}).images()
    assert "https://user:******@registry.example.org/web" in str(caught.value)
    assert "https://user:******@" in str(caught.value.problems)


def test_pillar_that_does_not_render_tells_none():
    pillar = {"db": {"password": SECRET}, "_errors": [f"could not render {SECRET}"]}
    with pytest.raises(PillarError, match=r"could not render \*{6}"):
        host(pillar).images()


# Names of secrets that nothing has


def test_a_named_secret_that_is_nowhere_is_warned_of(caplog):
    web = {**WEB, "pillar": {"own": {"motto": "horse"}}}
    declared = {"secrets": ["app:dsn", "app:dns", "own:motto"], "services": {"web": web}}
    host({"ubiq": declared, "app": {"dsn": "horse"}}).images()
    assert caplog.messages == [
        "ubiq:secrets: there is no 'app:dns' in this host's pillar, so nothing is hidden for it "
        "here"
    ]


def test_a_redactor_without_secrets_costs_and_does_nothing():
    assert Redactor({}, {"ubiq": None})("text") == "text"

"""Ways by which a secret could get out that need no engine to be tried."""

import logging

import pytest

from salt_ubiq.api import Api
from salt_ubiq.builds import base as base_build
from salt_ubiq.catalogue.ad_hoc import ad_hoc
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.containers.session import BuildSessions
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import BuildError, CatalogueError, EngineError, PillarError
from salt_ubiq.host import Host
from salt_ubiq.redact import Redactor
from salt_ubiq.verification.proof import prove
from salt_ubiq.workspace.slots import Workspace

SECRET = "hunter2-hunter2"
WEB = {"repository": "web", "base": "debian:12", "mods": ["web"]}
INFO = ImageInfo("sha256:1", {"Cmd": ["web"]}, 1)


class Engine:
    """Has one container, that has ended and printed ``says``."""

    def __init__(self, says=(), proxies=None):
        self.proxies = proxies or {}
        self.images, self.containers = Images(), Containers(says)


class Images:
    def remove(self, _):
        return True

    def references(self, _):
        return []

    def existing(self, _):
        return INFO

    def find(self, _):
        return INFO

    def build(self, **_):
        yield {"stream": f"Step 1/1 : RUN login {SECRET}\n"}
        yield {"stream": f"token is {SECRET}\n"}
        yield {"error": f"login {SECRET} failed"}


class Containers:
    def __init__(self, says):
        self.says = says

    def remove(self, _):
        return False

    def exists(self, _):
        return False

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


@pytest.fixture
def sessions(tmp_path):
    """``sessions(catalogue, pillar, opts)``: those of an engine that has nothing."""

    def make(catalogue=None, pillar=None, opts=None, engine=None):
        workspace, opts = Workspace(str(tmp_path)), {"cachedir": str(tmp_path), **(opts or {})}
        thin = Thin(workspace, opts)
        images = parse(catalogue)
        return BuildSessions(engine or Engine(), workspace, thin, opts, pillar or {}, images)

    return make


def api(pillar, opts=None):
    return Api(Host({}, {"cachedir": "/none", **(opts or {})}, pillar, {}))


def images(pillar):
    return api(pillar).images


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
def test_secrets_are_known_wherever_a_build_has_them_from(
    sessions, catalogue, pillar, opts, declared
):
    with sessions(catalogue, pillar, opts).session("web", declared) as session:
        assert SECRET not in session.clean(f"it is {SECRET}{SECRET} or {SECRET}") or catalogue.get(
            "recipe_key"
        )
        assert SECRET + SECRET not in session.clean(SECRET + SECRET)


def test_the_password_of_a_proxy_is_known(sessions):
    proxies = {"http_proxy": f"http://user:{SECRET}@proxy.example.org:3128"}
    with sessions(engine=Engine(proxies=proxies)).session("web") as session:
        assert session.clean(proxies["http_proxy"]) == "http://user:******@proxy.example.org:3128"


def test_what_one_build_knows_another_does_not(sessions):
    made = sessions()
    with made.session("web", {"pillar": {"password": SECRET}}):
        pass
    with made.session("db") as session:
        assert session.clean(SECRET) == SECRET


def test_the_paths_of_secrets_are_none(sessions):
    declared = {"secrets": ["app:motto"]}
    pillar = {"ubiq": declared, "app": {"motto": SECRET}}
    with sessions(declared, pillar, {"ubiq": declared}).session("web") as session:
        assert session.clean("pillar app:motto changed") == "pillar app:motto changed"


# Where they could get out


def test_whatever_goes_wrong_in_a_build_tells_none(sessions):
    with pytest.raises(EngineError) as caught, sessions(pillar={"password": SECRET}).session("web"):
        raise EngineError(f"the engine says: {SECRET}")
    assert str(caught.value) == "the engine says: ******"


def test_a_log_has_none(sessions, tmp_path):
    with sessions(pillar={"password": SECRET}).logged("web", {}) as session:
        session.log_line(f"it is {SECRET}")
    assert (tmp_path / "ubiq" / "logs" / "web.log").read_text() == "it is ******\n"
    assert (tmp_path / "ubiq" / "logs" / "web.log").stat().st_mode & 0o777 == 0o600


def test_a_dockerfile_that_fails_tells_none(sessions, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "salt_ubiq")
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM debian:12\n")
    declared = {"repository": "small", "dockerfile": str(context), "buildargs": {"TOKEN": SECRET}}
    base = parse({"bases": {"small": declared}})["small"]
    made = sessions()
    with (
        pytest.raises(BuildError) as caught,
        made.logged("small", {"buildargs": base.buildargs}) as session,
    ):
        base_build.build(base, session, "run")
    log = (tmp_path / "ubiq" / "logs" / "small.log").read_text()
    for text in (str(caught.value), caplog.text, log):
        assert "login ******" in text
        assert SECRET not in text


def test_the_password_of_a_mirror_is_in_no_recipe(sessions, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    mirror = f"http://user:{SECRET}@mirror.example.org"
    bootstrap = {"image": "debian:12", "suite": "bookworm", "mirror": mirror}
    declared = {"repository": "x", "dockerfile": str(tmp_path), "bootstrap": bootstrap}
    base = parse({"bases": {"x": declared}})["x"]
    with sessions(pillar={"ubiq": {"bases": {"x": declared}}}).session("x") as session:
        recipe = base_build.recipe_of(base, session, {})
    assert "user:******@mirror.example.org" in str(recipe.to_dict())


@pytest.mark.parametrize("around", range(280, 300, 5))
def test_a_check_that_prints_one_where_its_line_is_cut_shows_no_part_of_it(sessions, around):
    line = "x" * around + SECRET
    engine = Engine(says=[line])
    command = "y " * 40 + SECRET
    web = ad_hoc(**WEB, verify=[{"cmd": [command]}], converged=False)
    with sessions(pillar={"password": SECRET}, engine=engine).session("web") as session:
        (failure,) = prove(web, INFO, session, None, None).failures
    assert "hun" not in failure


def test_the_catalogue_as_people_see_it_has_none():
    secret_web = {**WEB, "pillar": {"db": {"password": SECRET}}, "config": {"cmd": ["x", SECRET]}}
    shown = api({"ubiq": {"services": {"web": secret_web}}}).catalogue()
    assert shown["services"]["web"]["pillar"] == {"db": {"password": "******"}}
    assert shown["services"]["web"]["config"]["cmd"] == ["x", "******"]
    assert parse(shown)["web"].mods == ("web",)


def test_a_password_that_is_a_name_leaves_the_catalogue_valid():
    web = {**WEB, "repository": "u/moodle", "mods": ["moodle"], "config": {"exposed_ports": [5432]}}
    pillar = {"ubiq": {"services": {"moodle": web}}, "password": "moodle", "pin": 5432}
    shown = api(pillar).catalogue()
    assert parse(shown)["moodle"].references == ("u/moodle:latest",)


def test_mistakes_in_the_catalogue_tell_none():
    bad = {"repository": f"https://user:{SECRET}@registry.example.org/web"}
    with pytest.raises(CatalogueError) as caught:
        images({"ubiq": {"services": {"web": {**WEB, **bad}}}})
    assert "https://user:******@registry.example.org/web" in str(caught.value)
    assert "https://user:******@" in str(caught.value.problems)


def test_nor_do_those_whose_value_is_too_long_for_a_message():
    bad = {"repository": f"https://user:{SECRET * 10}@registry/web"}
    with pytest.raises(CatalogueError) as caught:
        images({"ubiq": {"services": {"web": {**WEB, **bad}}}})
    assert "'https://user:******… (" in str(caught.value)
    assert SECRET[:6] not in str(caught.value)


def test_pillar_that_does_not_render_tells_none():
    pillar = {"db": {"password": SECRET}, "_errors": [f"could not render {SECRET}"]}
    with pytest.raises(PillarError, match=r"could not render \*{6}"):
        images(pillar)


# Names of secrets that nothing has


def test_a_named_secret_that_is_nowhere_is_warned_of(caplog):
    web = {**WEB, "pillar": {"own": {"motto": "horse"}}}
    declared = {"secrets": ["app:dsn", "app:dns", "own:motto"], "services": {"web": web}}
    images({"ubiq": declared, "app": {"dsn": "horse"}})
    assert caplog.messages == [
        "ubiq:secrets: there is no 'app:dns' in this host's pillar, so nothing is hidden for it "
        "here"
    ]


def test_a_redactor_without_secrets_costs_and_does_nothing():
    assert Redactor({}, {"ubiq": None})("text") == "text"

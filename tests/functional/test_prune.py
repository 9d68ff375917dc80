"""What builds leave on the engine is removed, and nothing else."""

from __future__ import annotations

import time
import uuid
from itertools import count

import pytest
from salt.exceptions import SaltInvocationError

from salt_ubiq.builds.parent_facts import Facts, ParentFacts
from salt_ubiq.builds.residue import Residue
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.workspace.slots import Workspace
from tests.conftest import BASE, DEBIAN, IMAGES, volume_names
from tests.support.building import building, wait_for_container

WEB = f"{IMAGES}web"


def declare(host, **more):
    service = {"repository": WEB, "base": "test-base", "mods": ["web"], "converged": False}
    host.catalogue(**{"test-web": {**service, **more}})


@pytest.fixture
def build(host):
    """``build(text)``: build the service anew, with a text in it, and return the image's ID."""
    declare(host)

    def build(text):
        host.file("web.sls", f"/srv/page:\n  file.managed:\n    - contents: {text}\n")
        return host.call("ubiq_docker.build_service", "test-web")["id"]

    return build


@pytest.fixture
def ours(host, engine, image_of, cachedir):
    """``ours(below)``: the ID of an image that counts as built here and has lost its name."""
    recipes, numbers = Recipes(Workspace(str(cachedir))), count()

    def made(below=DEBIAN):
        number = next(numbers)
        label = f"FROM {below}\nLABEL org.salt-ubiq.image=test-{number}\n"
        image_id = engine.inspect_image(image_of(label, "ours"))["Id"]
        recipes.save(Recipe(salt=str(number)), image_id)
        image_of(f"FROM {DEBIAN}\nLABEL org.salt-ubiq.image=test-instead-{number}\n", "ours")
        return image_id

    return made


def there(engine):
    return {image["Id"] for image in engine.images(all=True)}


def prune(host, *kinds, **how):
    return host.call("ubiq_docker.prune", *kinds, **how)


@pytest.fixture
def volume(engine):
    """``volume(name)``: a volume as the engine makes it where a dead build's container names it."""
    made = []

    def make(name):
        engine.create_volume(name)
        made.append(name)
        return name

    yield make
    for name in {*made} & volume_names(engine):
        engine.remove_volume(name)


def test_old_images_go_and_the_current_stays(host, engine, build):
    old, new = build("one"), build("two")
    before = there(engine)
    assert prune(host, "images", test=True) == {"images": [old]}
    assert there(engine) == before
    assert prune(host, "images") == {"images": [old]}
    assert there(engine) == before - {old}
    assert engine.inspect_image(WEB)["Id"] == new
    assert prune(host, "images") == {"images": []}
    assert host.call("ubiq_docker.build_service", "test-web")["action"] == "up-to-date"


def test_days_spare_what_is_younger(host, engine, ours):
    older = ours()
    time.sleep(3)
    younger = ours()
    assert prune(host, "images", days=1) == {"images": []}
    modules = host.modules
    (created,) = (each["Created"] for each in engine.images(all=True) if each["Id"] == younger)
    days = (time.time() - created + 1) / 86400
    assert modules["ubiq_docker.prune"]("images", days=days) == {"images": [older]}
    assert younger in there(engine)


def test_an_old_image_that_is_used_stays(host, engine, ours, image_of):
    """By a container, by an image that a user has built on it, by a name that a user gave it."""
    in_container, below_users, named, unused = (ours() for _ in range(4))
    users = image_of(f"FROM {below_users}\nRUN touch /srv/mine\n", "users")
    users_id = engine.inspect_image(users)["Id"]
    engine.tag(named, f"{IMAGES}named")
    container = engine.create_container(in_container, ["true"])
    try:
        before = there(engine)
        assert prune(host, "images", test=True) == {"images": [unused]}
        assert prune(host, "images") == {"images": [unused]}
        assert there(engine) == before - {unused}
        assert users_id in there(engine)
    finally:
        engine.remove_container(container)
    assert prune(host, "images") == {"images": [in_container]}


def test_an_image_that_a_user_has_built_on_ours_and_that_lost_its_name_stays(
    host, engine, ours, image_of
):
    below = ours()
    users = engine.inspect_image(image_of(f"FROM {below}\nLABEL mine=1\n", "users"))["Id"]
    image_of(f"FROM {below}\nLABEL mine=2\n", "users")
    assert not engine.inspect_image(users)["RepoTags"]
    before = there(engine)
    assert prune(host, "images") == {"images": []}
    assert there(engine) == before


def test_what_is_known_of_parents_that_are_gone_is_forgotten(host, engine, image_of, cachedir):
    gone = engine.inspect_image(image_of(f"FROM {DEBIAN}\nLABEL of=test\n", "gone"))["Id"]
    ids = [gone, engine.inspect_image(BASE)["Id"]]
    parents = ParentFacts(Workspace(str(cachedir)))
    for image_id in ids:
        parents.facts(image_id, "test", lambda: Facts({}, Residue((), ())))
    engine.remove_image(gone, force=True)

    def known():
        names = [path.name for path in (cachedir / "ubiq" / "parents").iterdir()]
        return [f"{each.partition(':')[2]}-test.json" in names for each in ids]

    assert known() == [True, True]
    prune(host, "images")
    assert known() == [False, True]


def test_a_base_goes_with_what_was_built_on_it(host, engine, ours):
    host.file("small/Dockerfile", f"FROM {DEBIAN}\nLABEL number=one\n")
    small = {"repository": f"{IMAGES}small", "dockerfile": "salt://small"}
    host.pillar({"ubiq": {"bases": {"test-small": small}}})
    base = host.call("ubiq_docker.build_base", "test-small")["id"]
    service = ours(base)
    assert prune(host, "images", test=True) == {"images": [service]}
    host.file("small/Dockerfile", f"FROM {DEBIAN}\nLABEL number=two\n")
    host.call("ubiq_docker.build_base", "test-small")
    assert prune(host, "images", test=True) == {"images": [service, base]}
    assert prune(host, "images") == {"images": [service, base]}
    assert not {service, base} & there(engine)


def test_the_layers_that_nothing_uses_go_and_no_other(
    host, engine, ours, image_of, nothing_of_others
):
    def layer(name):
        label = f"org.salt-ubiq.image='{name} on test-base'"
        tag = image_of(f"FROM {DEBIAN}\nLABEL {label}\n", name)
        image_id = engine.inspect_image(tag)["Id"]
        engine.tag(image_id, "salt-ubiq.local/shared", name)
        engine.remove_image(tag)
        return image_id

    used, old = layer("used"), layer("old")
    image_of(f"FROM {used}\nLABEL of=test\n", "current")
    above = ours(old)
    assert prune(host, "shared") == {"shared": []}  # an old image uses it
    before = there(engine)
    gone = {"images": [above], "shared": ["salt-ubiq.local/shared:old"]}
    assert prune(host, "images", "shared", test=True) == gone
    assert there(engine) == before
    assert prune(host, "images", "shared") == gone
    assert there(engine) == before - {above, old}


def test_leftovers_of_dead_builds_go_and_those_of_others_stay(host, engine, cachedir):
    workspace = (cachedir / "ubiq" / "id").read_text()
    declare(host)
    host.call("ubiq_docker.status")  # makes the first slot
    name, others = f"salt-ubiq-{workspace}-0", "salt-ubiq-00000000-0"
    for each in (name, others):
        engine.create_container(BASE, ["true"], name=each)
        engine.tag(BASE, "salt-ubiq.local/build", each)
    left = [name, f"salt-ubiq.local/build:{name}"]
    try:
        assert prune(host, "leftovers", test=True) == {"leftovers": left}
        assert engine.containers(all=True, filters={"name": name})
        assert prune(host, "leftovers", days=7) == {"leftovers": left}
        assert not engine.containers(all=True, filters={"name": name})
        assert not engine.images(f"salt-ubiq.local/build:{name}")
        assert prune(host, "leftovers") == {"leftovers": []}
        assert engine.containers(all=True, filters={"name": others})
        assert engine.images(f"salt-ubiq.local/build:{others}")
    finally:
        engine.remove_container(others)
        engine.remove_image(f"salt-ubiq.local/build:{others}")


def test_runtimes_go_but_for_the_current_one_and_those_in_use(
    host, engine, build, volume, nothing_of_others
):
    build("one")
    foreign, old = f"test-{uuid.uuid4().hex}", f"salt-ubiq-runtime-{uuid.uuid4().hex[:16]}"
    engine.create_volume(foreign)
    try:
        before = volume_names(engine)
        volume(old)
        assert prune(host, "runtimes", test=True) == {"runtimes": [old]}
        assert prune(host, "runtimes", days=1) == {"runtimes": []}
        assert prune(host, "runtimes") == {"runtimes": [old]}
        assert volume_names(engine) == before
        engine.inspect_volume(foreign)
    finally:
        engine.remove_volume(foreign)


def test_caches_go_if_asked_for_and_those_of_other_hosts_stay(
    host, engine, build, volume, cachedir
):
    build("one")
    workspace = (cachedir / "ubiq" / "id").read_text()
    others = volume("cache-of-salt-ubiq-00000000-0")
    own = sorted(name for name in volume_names(engine) if f"-{workspace}-" in name)
    assert own
    assert "caches" not in prune(host, test=True)
    assert prune(host, "caches", test=True) == {"caches": own}
    assert prune(host, "caches") == {"caches": own}
    assert not volume_names(engine) & {*own}
    assert others in volume_names(engine)
    build("two")


def test_a_build_at_work_keeps_all_images_and_layers(host, engine, ours):
    """It may have found one that it has no container of yet."""
    old = ours()
    declare(host)
    host.file("web.sls", "sleep 300:\n  cmd.run\n")
    with building(host, "ubiq_docker.build_service", "test-web") as process:
        wait_for_container(engine, process, "sleep")
        before = there(engine)
        for test in (True, False):
            assert prune(host, "images", "shared", test=test) == {"images": [], "shared": []}
        assert there(engine) == before
    assert prune(host, "leftovers", "images")["images"] == [old]


def test_by_default_all_kinds_but_caches_go(host):
    declare(host)
    assert set(prune(host, test=True)) == {
        "leftovers",
        "images",
        "shared",
        "checkpoints",
        "runtimes",
    }


def test_an_unknown_kind_is_told(host):
    with pytest.raises(SaltInvocationError, match="no kind image to prune: there are leftovers"):
        prune(host, "image")

"""A tree in the manner of public formulas gives in a build what it gives on a minion."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager

import pytest
from salt.exceptions import CommandExecutionError

from tests.conftest import BASE, IMAGES, Host, image_with, volume_names
from tests.support import formula

PARENT = f"""
FROM {BASE}
ENV WORD=of-the-parent PATH=/opt/parent/bin:$PATH
RUN mkdir -p /opt/parent/bin && printf '#!/bin/sh\\necho found' > /opt/parent/bin/of-parent \
 && chmod +x /opt/parent/bin/of-parent
"""


class Tree:
    """A host with the tree, and the image that is built of it."""

    def __init__(self, host: Host, parent: str) -> None:
        self.host = host
        self.parent = parent
        formula.set_up(host)
        web = {"repository": f"{IMAGES}tree", "base": parent, "mods": list(formula.MODS)}
        pillar = {"web": {"words": ["two"]}, "of_host": str(host.states / "web" / "init.sls")}
        host.pillar({**pillar, "ubiq": {"services": {"test-tree": web}}})
        self.built = host.call("ubiq_docker.build_service", "test-tree")
        self.image = self.built["id"]

    def planned(self) -> list[str]:
        """Why it is to be built; nothing where it is up to date."""
        (step,) = self.host.call("ubiq_docker.plan", "test-tree")
        assert (step["action"] == "build") == bool(step["reasons"])
        return step["reasons"]

    def build(self, mods, text=None, **more):
        """Build an image of other states."""
        if text is not None:
            self.host.file(f"{mods}.sls", text)
        return self.host.call(
            "ubiq_docker.build_service", f"{IMAGES}other", base=self.parent, mods=mods, **more
        )

    @contextmanager
    def as_it_was_afterwards(self):
        kept = self.host.states.with_name("kept")
        shutil.copytree(self.host.states, kept, symlinks=True)
        try:
            yield self.host.states / "web"
        finally:
            shutil.rmtree(self.host.states)
            kept.rename(self.host.states)


@pytest.fixture(scope="module")
def tree(module_host, engine):
    return Tree(module_host, image_with(engine, PARENT, "tree-parent"))


@pytest.fixture(scope="module")
def contents(tree, engine):
    return formula.contents_of_image(engine, tree.image)


@pytest.fixture
def look(tree, run_in):
    """``look(path)``: the lines of a file in the image."""
    return lambda path: run_in(tree.image, "cat", path).splitlines()


def test_the_image_has_what_a_minion_makes_of_the_same_states(tree, engine, contents):
    (runtime,) = [name for name in volume_names(engine) if name.startswith("salt-ubiq-runtime-")]
    minions = formula.applied_by_a_minion(engine, tree.host, tree.parent, runtime)
    assert contents.keys() ^ minions.keys() == set()
    different = {
        path: (contents[path], minions[path])
        for path in contents
        if contents[path] != minions[path]
    }
    assert different == {}


def test_no_state_failed_and_nothing_is_warned_of(tree):
    assert tree.built["states"]["failed"] == []
    assert tree.built["warnings"] == []


def test_a_template_imports_and_includes_and_reads_the_tree(look):
    lines = look("/srv/web/web.conf")
    assert lines[0] == "# deep-of-debian, by a macro"
    assert "snippet for web" in lines
    assert "motd the message of the day" in lines
    assert [line for line in lines if line.startswith("listed")] == [
        "listed web/listed/a",
        "listed web/listed/b",
    ]
    assert re.search("^hash [0-9a-f]{64}$", "\n".join(lines), re.MULTILINE)
    assert "False" not in "".join(lines)


def test_a_template_has_the_trees_own_modules_grains_and_config(look):
    assert {"own TEMPLATE!", "grain round vanilla", "exists True"} <= set(look("/srv/web/web.conf"))


def test_what_an_sls_asks_the_image_answers(look):
    assert look("/srv/web/asked") == [
        "of the host: False",
        "of the image: True",
        "home: /usr/games",
        "codename: bookworm",
        "own: ASKED!",
        "own, of pillar: two",
        "grain: round round",
        "config: vanilla",
        "words: two 8080 deep-of-debian",
    ]


def test_a_wildcard_takes_all_its_modules_and_states_of_the_tree_work(look, run_in, tree):
    assert look("/srv/own") == ["WRITTEN!"]
    assert run_in(tree.image, "hello", "-g", "installed") == "installed"


def test_modes_links_and_empty_directories_are_kept_and_what_is_excluded_is_not_there(contents):
    modes = {
        path.removeprefix("srv/web/"): found[1][-3:]
        for path, found in contents.items()
        if path.startswith("srv/web/")
    }
    assert modes == {
        "asked": "644",
        "run.sh": "755",
        "web.conf": "640",
        "tree": "751",
        "tree/one": "640",
        "tree/below": "751",
        "tree/below/two": "750",
        "tree/hollow": "751",
        "tree/link": "777",
    }
    assert contents["srv/web/tree/link"][3] == "one"
    assert contents["srv/web"][1:3] == ("40750", (2001, 0))
    assert contents["srv/web/web.conf"][2] == (2001, 2001)


def test_commands_have_the_parents_environment(look):
    assert look("/srv/environment") == ["of-the-parent", "found"]


def test_a_service_ran_for_later_states_and_was_stopped_in_good_order(look, run_in, tree):
    assert look("/srv/answer") == ["heard hello"]
    assert look("/var/lib/ubiq-probe") == ["hello"]
    assert run_in(tree.image, "find", "/run", "-name", "*ubiq*") == ""
    assert "S01ubiq-probe" in run_in(tree.image, "sh", "-c", "ls /etc/rc3.d")
    again = "/etc/init.d/ubiq-probe start && ubiq-probe again"
    assert run_in(tree.image, "sh", "-c", again) == "heard again"


# What makes it stale


def test_it_is_up_to_date_and_nothing_is_asked_to_see_that(tree, caplog):
    assert tree.planned() == []
    assert "asking" not in caplog.text


def chmod(path, mode):
    return lambda web: (web / path).chmod(mode)


def write(path, text="edited\n"):
    def change(web):
        (web / path).parent.mkdir(parents=True, exist_ok=True)
        (web / path).write_text(text)

    return change


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (write("snippet.conf"), ["salt://web/snippet.conf changed"]),
        (write("motd"), ["salt://web/motd changed"]),
        (
            write("libtemplate.jinja", "{% macro banner(word) %}other{% endmacro %}"),
            ["salt://web/libtemplate.jinja changed"],
        ),
        (write("local.conf"), ["salt://web/local.conf changed"]),
        (write("files/bookworm/web.conf"), ["salt://web/files/bookworm/web.conf added"]),
        (write("listed/c"), ["files of salt://web/listed changed"]),
        (chmod("files/default/run.sh", 0o700), ["salt://web/files/default/run.sh changed"]),
        (chmod("tree/below/two", 0o644), ["salt://web/tree/below/two changed"]),
        (
            lambda web: (web / "tree" / "more").mkdir(),
            ["empty directories of salt://web/tree changed"],
        ),
        (
            lambda web: (web / "tree" / "other").symlink_to("one"),
            ["links of salt://web/tree changed", "salt://web/tree/other added"],
        ),
        (
            write("../_modules/own.py", "def shout(word):\n    return 'other'\n"),
            [
                "state web.config: file.managed /srv/web/asked changed",
                "salt://_modules/own.py changed",
            ],
        ),
        (
            write("../_states/own_state.py", "def written(name, word):\n    return {}\n"),
            ["salt://_states/own_state.py changed"],
        ),
        (write("../_modules/unused.py", "def unused():\n    pass\n"), []),
        (write("tree/one.bak"), []),
        (write("tree/two.bak"), []),
        (chmod("motd", 0o644), []),
        (write("nobody-asks"), []),
    ],
    ids=lambda case: (case[0] if case else "nothing") if isinstance(case, list) else "",
)  # fmt: skip
def test_it_is_to_be_built_for_what_was_asked_for_and_nothing_else(tree, change, reasons):
    with tree.as_it_was_afterwards() as web:
        change(web)
        assert tree.planned() == reasons


# Other images


def test_services_offline_starts_nothing(tree, run_in):
    built = tree.build("other_offline", SERVICE, services="offline")
    assert built["warnings"] == []
    assert "S01marks" in run_in(built["image"], "ls", "/etc/rc3.d")
    assert run_in(built["image"], "ls", "/srv") == ""


SERVICE = """
    /etc/init.d/marks:
      file.managed:
        - mode: '0755'
        - contents: |
            #!/bin/sh
            ### BEGIN INIT INFO
            # Provides: marks
            # Required-Start:
            # Required-Stop:
            # Default-Start: 2 3 4 5
            # Default-Stop: 0 1 6
            ### END INIT INFO
            case "$1" in start) echo no config >&2; touch /srv/ran; exit 1;; *) exit 3;; esac
    marks:
      service.running:
        - enable: True
        - require: [file: /etc/init.d/marks]
    """


def test_a_service_that_does_not_start_says_why(tree):
    with pytest.raises(CommandExecutionError) as failure:
        tree.build("other_broken", SERVICE)
    message = str(failure.value)
    assert "/etc/init.d/marks start: exit status 1: no config" in message
    assert "=> it does not start in a container as it is configured here" in message
    assert "Traceback" not in message


def test_services_fail_leaves_it_to_salt(tree):
    with pytest.raises(CommandExecutionError, match="runlevel") as failure:
        tree.build("other_fails", SERVICE, services="fail")
    assert "Traceback" not in str(failure.value)


def test_a_service_without_an_init_script_is_warned_of(tree):
    unit = """
        /etc/systemd/system/probe.service:
          file.managed:
            - contents: "[Service]"
        probe:
          service.running:
            - require: [file: /etc/systemd/system/probe.service]
        """
    (warning,) = tree.build("other_unit", unit)["warnings"]
    assert "service probe was not started, as it has no init script" in warning


def test_states_that_come_to_none_build_an_image(tree, engine):
    built = tree.build(
        "other_none", "{% if grains.os == 'Windows' %}\nx:\n  test.nop\n{% endif %}\n"
    )
    assert built["states"] == {"total": 0, "changed": 0, "failed": []}
    assert (
        engine.inspect_image(built["id"])["Config"]["Labels"]["org.salt-ubiq.mods"] == "other_none"
    )


def test_a_template_that_does_not_render_is_told_with_its_file_and_what_to_do(tree):
    tree.host.file("web/broken.conf", "{% from 'web/gone.jinja' import word %}{{ word }}\n")
    text = """
        /srv/broken:
          file.managed:
            - source: salt://web/broken.conf
            - template: jinja
        """
    with pytest.raises(CommandExecutionError) as failure:
        tree.build("other_template", text)
    message = str(failure.value)
    assert "web/gone.jinja" in message
    assert "/srv/broken" in message
    assert "=> see whether the file is in the state tree" in message
    assert "Traceback" not in message
    assert 'File "' not in message
    assert len(message.splitlines()) < 15

"""
README and the pages of ``docs/``: what can be checked of them without an engine.

Each block is covered by a rule of its language or, for what something prints, of its first line.
"""

from __future__ import annotations

import fnmatch
import inspect
import json
import logging
import logging.handlers
import queue
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from salt_ubiq.catalogue import models
from salt_ubiq.catalogue.parse import parse
from salt_ubiq.errors import CatalogueError
from salt_ubiq.modules import ubiq_docker
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.registry.logins import credentials
from salt_ubiq.results import Result
from salt_ubiq.runners import ubiq
from salt_ubiq.runs.progress import Progress
from salt_ubiq.runs.summary import table
from salt_ubiq.states import ubiq_docker as states
from tests.support.documentation import (
    PAGES,
    REPOSITORY,
    Block,
    blocks,
    command_lines,
    function_named,
    mistake_in_call,
    mistake_in_salt_command,
    prose,
    public_functions,
    salt_commands_in_prose,
    text_of,
)

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHIPPED = yaml.safe_load((REPOSITORY / "pillar" / "ubiq.sls").read_text())["ubiq"]
PILLAR: dict[str, Any] = {}
for _file in (REPOSITORY / "pillar").glob("*.sls"):
    PILLAR |= yaml.safe_load(_file.read_text())
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
TARGETS = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
SOURCE = "\n".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
# Of any host; what is done with them, only a run of the page can tell.
SYSTEM = "cp curl echo grep ln mkdir openssl printf sed umask".split()


def whole(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A catalogue of which an example shows a part."""
    required = {
        "bases": {"repository": "example/base", "dockerfile": "/srv/base"},
        "services": {"repository": "example/image", "base": "debian:12", "mods": ["mod"]},
    }
    filled = {
        section: {name: {**keys, **body} for name, body in declared.get(section, {}).items()}
        for section, keys in required.items()
    }
    return {**declared, **filled}


def check_yaml(block: Block) -> None:
    """A catalogue, another part of pillar, or an SLS, perhaps with ``…`` for what is left out."""
    for part in re.split(r"^…$", block.text, flags=re.MULTILINE):
        content = yaml.safe_load(part)
        keys = set(content)
        if keys == {"ubiq"}:
            parse(whole(content["ubiq"]))
        elif keys == {"schedule"}:
            for job in content["schedule"].values():
                arguments = (job["function"], job.get("args", []), job.get("kwargs", {}))
                assert mistake_in_call("modules", *arguments) == ""
        elif keys == {"docker-registries"}:
            assert credentials(content, {}, {})
        elif keys == {"services"}:
            assert {*content["services"]} <= {*COMPOSE}
        elif keys == {"base"}:
            assert all(isinstance(names, list) for names in content["base"].values())
        elif keys <= set(PILLAR):
            for key, value in content.items():
                assert set(value) <= set(PILLAR[key])
        else:
            check_sls(content)


def check_sls(content: Mapping[str, Any]) -> None:
    for declared in content.values():
        for function, listed in declared.items():
            arguments = {key: value for each in listed for key, value in each.items()}
            assert mistake_in_call("states", function, [], {"name": "name", **arguments}) == ""
            for kind in ("require", "watch", "onchanges", "listen"):
                for requisite in arguments.get(kind, ()):
                    (pattern,) = requisite.values()
                    assert fnmatch.filter(content, pattern), f"no state {pattern}"


def check_shell(block: Block) -> None:
    for words in command_lines(block.text):
        check_command(words)


def check_command(words: list[str]) -> None:
    command, *arguments = words
    if command in ("salt", "salt-call", "salt-run"):
        assert mistake_in_salt_command(words) == ""
    elif command == "make":
        assert set(arguments) <= TARGETS
    elif command in ("pip", "salt-pip"):
        assert set(arguments[1:]) <= {"salt", "salt-ubiq"}
    elif command in ("docker", "docker-compose"):
        ours = {image["repository"] for image in SHIPPED["services"].values()} | {"ubiquitous/x"}
        assert {word for word in arguments if word.startswith("ubiquitous/")} <= ours
    elif "/" in command:
        places = (REPOSITORY / command, REPOSITORY / "docs" / command)
        assert command.startswith(".venv/") or any(place.exists() for place in places), command
        for word in arguments:
            if word.endswith(".py"):
                assert (REPOSITORY / word).exists()
    else:
        assert command in SYSTEM, f"unknown command {command}"
    if command == "cp":
        for word in arguments[1:-1]:
            assert [*REPOSITORY.glob(word)], word


def check_json(block: Block) -> None:
    json.loads(block.text)


def check_nginx(block: Block) -> None:
    assert block.text.count("{") == block.text.count("}") == 1


def check_table(block: Block) -> None:
    """It is what the same results give again."""
    text = block.text.strip()
    lines = text.partition("\n\n")[0].splitlines()
    headings = re.split(r" {2,}", lines[0])
    results = []
    for line in lines[1:]:
        row = dict(zip(headings, re.split(r" {2,}", line), strict=False))
        results.append(
            Result(
                name=row["image"],
                image="",
                action=row["action"].replace(" ", "-"),
                duration=float(row["duration"].split()[0]),
                size=int(float(row["size"].split()[0]) * 1e6),
                pushed=tuple(
                    {"reference": each, "pushed": True} for each in row.get("pushed to", "").split()
                ),
                reasons=tuple([row["why"]] if "why" in row else []),
            )
        )
    again = table(results)
    assert text == (again if "\n\n" in text else again.partition("\n\n")[0])


def check_states(block: Block) -> None:
    functions = re.findall(r"Function: (\S+)", block.text)
    assert functions
    assert all(function_named("states", function) for function in functions)


def check_job(block: Block) -> None:
    (function,) = re.findall(r"Function:\n\s*(\S+)", block.text)
    assert function_named("modules", function)
    keywords = dict.fromkeys(re.findall(r"^ {10}(\w+):$", block.text, re.MULTILINE))
    assert mistake_in_call("modules", function, [], keywords) == ""


def check_result(block: Block) -> None:
    keys = set(re.findall(r'"(\w+)": ', block.text))
    of_parts = {"total", "changed", "failed", "sls", "function", "comment"}
    of_parts |= {"reference", "digest", "old"}
    assert keys - of_parts == set(Result("", "", "built").to_dict())


def check_keys_of_results(block: Block) -> None:
    keys = set(re.findall(r"^ +(\w+):$", block.text, re.MULTILINE))
    assert keys <= {*Result.__dataclass_fields__, "digest", "old", "pushed", "reference"}


def check_mistakes(block: Block) -> None:
    base = {"repository": "example/debian", "dockerfile": "/srv/debian"}
    web = {"repository": "example/web", "base": "debain"}
    with pytest.raises(CatalogueError) as failure:
        parse({"bases": {"debian": base}, "services": {"web": web}})
    assert sorted(str(failure.value).splitlines()) == sorted(block.text.splitlines())


def check_reasons(block: Block) -> None:
    """Each is what comparing two recipes says."""
    values = {
        "files": "salt://web-moodle/nginx/site.conf",
        "pillar": "nginx:user",
        "states": "web-moodle: file.managed /etc/nginx/nginx.conf",
        "parent": "debian-python",
        "config": "cmd",
    }
    said = [
        Recipe(**{part: {key: "2"}}).changes_since(Recipe(**{part: {key: "1"}}))
        for part, key in values.items()
    ]
    said.append(Recipe(mods=["web", "web-moodle-debug"]).changes_since(Recipe(mods=["web"])))
    assert sorted(block.text.splitlines()) == sorted(line for lines in said for line in lines)


def check_progress(block: Block) -> None:
    """It is what is told of such a run."""
    lines, now = block.text.splitlines(), 0.0
    log, told = logging.getLogger("salt_ubiq"), queue.SimpleQueue[logging.LogRecord]()
    handler = logging.handlers.QueueHandler(told)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    with Progress(2, clock=lambda: now) as progress:
        progress.observe("started", "moodle-web", None)
        for line in lines[1:3]:
            log.info(line)
        now = 60.0
        progress.refresh()
        progress.observe("built", "moodle-web", Result("moodle-web", "", "built", duration=68))
    log.setLevel(logging.NOTSET)
    log.removeHandler(handler)
    assert [told.get().getMessage() for _ in range(told.qsize())] == lines


def check_log(block: Block) -> None:
    for line in block.text.splitlines():
        state = re.fullmatch(r"changed {4}\d\.\d\d s  [\w.-]+: .+ \((\w+\.\w+)\)", line)
        passed = re.fullmatch(r"ubiq:\S+:verify:\d+: passed in \d+\.\d s", line)
        assert passed or line == "…" or (state and function_named("states", state[1])), line


def check_said(block: Block) -> None:
    """Three words in a row are in the code."""
    for line in block.text.strip().splitlines():
        words = line.split()
        threes = {" ".join(words[start : start + 3]) for start in range(len(words) - 2)}
        assert any(three in SOURCE for three in threes), line


def check_page(block: Block) -> None:
    """It is in a file of the page."""
    title = re.escape(block.text.strip())
    assert re.search(
        title.replace("Our\\ ", "(Our )?"), text_of(block.page).replace(block.text, "")
    )


LANGUAGES: dict[str, Callable[[Block], None]] = {
    "yaml": check_yaml,
    "sh": check_shell,
    "json": check_json,
    "nginx": check_nginx,
}
PRINTED: dict[str, Callable[[Block], None]] = {
    r"image +action": check_table,
    r"\s*ID: |  Name: ": check_states,
    r"\d{20}:": check_job,
    r'\{"name": ': check_result,
    r" +moodle-web:": check_keys_of_results,
    r"the catalogue has": check_mistakes,
    r"salt://\S+ changed": check_reasons,
    r"\[0/\d+\] ": check_progress,
    r"changed +[\d.]+ s ": check_log,
    r"\[WARNING \] |moodle-web: the new image": check_said,
    r"<title>": check_page,
}


def rule(block: Block) -> Callable[[Block], None] | None:
    if block.language:
        return LANGUAGES.get(block.language)
    rules = [check for first, check in PRINTED.items() if re.match(first, block.text)]
    return rules[0] if len(rules) == 1 else None


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_a_block_is_as_the_code_has_it(block):
    check = rule(block)
    assert check, f"no rule covers this block: {block.text}"
    check(block)


def rows(heading: str) -> set[str]:
    """The keys that the first column of the table below a heading has."""
    section = text_of("docs/catalogue.md").partition(f"{heading}\n")[2]
    section = re.split(r"^##", section, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)", cell)}


def test_the_tables_have_all_keys_of_the_catalogue():
    of_all = rows("## Every image")
    assert of_all | rows("## Bases") == set(models.Base.model_fields) - {"name", "path"}
    assert of_all | rows("## Services") == set(models.Service.model_fields) - {"name", "path"}
    assert rows("### `config`") == set(models.ImageConfig.model_fields)
    checks = set(models.Check.model_fields) - {"environment", "timeout"}
    assert rows("### `verify`") == checks


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_salt_in_the_text_call_what_there_is(page):
    for words in salt_commands_in_prose(page):
        assert mistake_in_salt_command(words) == "", words


@pytest.mark.parametrize("page", PAGES)
def test_functions_that_a_page_names_exist(page):
    named = set(re.findall(r"\bubiq_docker\.(\w+)", text_of(page)))
    assert named <= {*public_functions(ubiq_docker), *public_functions(states)}
    named = set(re.findall(r"(?<![\w./-])ubiq\.(?!sls|conf)(\w+)", text_of(page)))
    assert named <= set(public_functions(ubiq))


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_that_a_page_names_exist(page):
    for words in re.findall(r"`(?:sudo )?make ([^`]+)`", prose(page)):
        assert set(words.split()) <= TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """As they are made of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_examples_of_the_states_are_as_the_code_has_them():
    documented = [states, *public_functions(states).values()]
    found = [
        example
        for each in documented
        for example in re.findall(
            r"\.\. code-block:: yaml\n\n((?: {4}.*\n|\n)+)", f"{inspect.getdoc(each)}\n"
        )
    ]
    assert len(found) == 2
    for example in found:
        check_sls(yaml.safe_load(example))


def test_the_blocks_of_every_page_are_found():
    without = {"docs/architecture.md", "docs/compatibility.md"}
    assert {block.page for block in BLOCKS} == set(PAGES) - without
    assert len(BLOCKS) > 50

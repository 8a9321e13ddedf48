"""Links lead somewhere, commands exist, and what pages say of files, versions and the changelog is so."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import holdfast
from holdfast.cli import main as cli
from holdfast.cli.options import flag
from holdfast.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SHELL = {"cd", "export", "set", "."}
ORDER = ["Security", "Removed", "Deprecated", "Added", "Changed", "Fixed"]


# Links


def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text) + re.findall(r'(?:href|src)="([^"]+)"', text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: there is no such file"
        assert found.is_relative_to(ROOT), f"{target}: outside the repository"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{target}: there is no such heading"


@cache
def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen = found.get(slug, 0)
        names.add(f"{slug}-{seen}" if seen else slug)
        found[slug] = seen + 1
    return names


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


# Commands


def test_commands_of_pages_exist(bash_block: Any) -> None:
    text = bash_block.code.replace("\\\n", " ")
    inner = re.findall(r"\$\(([^()]*)\)", text)
    outer = re.sub(r"\$\([^()]*\)", "VALUE", text)
    for line in [*inner, *outer.splitlines()]:
        for command in re.split(r"\s(?:\||&&|;)\s|;\s", line.split(" #")[0]):
            check_command(shlex.split(command), bash_block.where)


def test_make_targets_of_pages_exist(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"^(?:    |`)make ([a-z-]+)", text, re.MULTILINE) + re.findall(
        r"`make ([a-z-]+)", text
    ):
        assert target in known, f"{page.name}: make {target}"


def check_command(words: list[str], where: str) -> None:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if not words or words[0] in SHELL:
        return
    name, *arguments = words
    assert shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent)), f"{where}: {name}"
    match name:
        case "holdfast":
            check_holdfast(arguments, where)
        case "uvicorn" | "hypercorn" | "granian" | "daphne":
            known = help_of(name)
            for option in (word for word in arguments if word.startswith("--")):
                assert re.search(rf"{option}\b", known), f"{where}: {name} {option}"
        case "pip" | "python":
            for extras in re.findall(r"holdfast\[([a-z,]+)\]", " ".join(arguments)):
                check_extras(extras, where)


def check_holdfast(arguments: list[str], where: str) -> None:
    command: Any = get_command(cli.app)
    path = "holdfast"
    rest = list(arguments)
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{where}: {path} {rest[0]}"
        command, path = command.commands[rest[0]], f"{path} {rest.pop(0)}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    known |= (
        {flag(name) for name in Settings.model_fields}
        if path in ("holdfast serve", "holdfast check-config")
        else set()
    )
    for option in (word for word in rest if word.startswith("--")):
        assert option.split("=")[0] in known, f"{where}: {path} {option}"


def check_extras(extras: str, where: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    for extra in extras.split(","):
        assert re.search(rf"^{extra} = ", table, re.MULTILINE), f"{where}: holdfast[{extra}]"


@cache
def help_of(name: str) -> str:
    """What a server says of its options, as wide as it likes."""
    done = subprocess.run([sys.executable, "-m", name, "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_extras_that_pages_name_exist(page: Path) -> None:
    for extras in re.findall(r"holdfast\[([a-z,]+)\]", page.read_text(encoding="utf-8")):
        check_extras(extras, page.name)


@pytest.mark.parametrize(
    "words", ["holdfast nothing", "holdfast serve --nothing", "uvicorn app:app --nothing", "no-such"]
)
def test_a_command_that_is_not_there_is_noticed(words: str) -> None:
    with pytest.raises(AssertionError):
        check_command(words.split(), "here")


# What some pages promise


def test_the_readmes_use_the_sdk_as_its_page_does() -> None:
    """The samples of docs/browser.md are run by the SDK's tests; here is only what they have too."""
    shown = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
    for name in ("README.md", "README.ru.md"):
        code = re.search(
            r"^```ts\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        assert code is not None
        calls = re.findall(r'[\w.]+\((?:"message")?', code.group(1))
        assert "session.login(" in calls
        for call in calls:
            assert call in shown or call == "console.log(", call


def design_sections() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    return [(part.partition("\n")[0], part) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize(
    ("heading", "text"), design_sections(), ids=lambda value: str(value)[:40].split("\n")[0]
)
def test_each_section_of_the_design_names_a_file_that_exists(heading: str, text: str) -> None:
    named = text.splitlines()[2]
    files = re.findall(r"`([\w/.]+)`", named)
    assert files, f"{heading}: its first line names no file"
    for name in [*files, *re.findall(r"`((?:src|tests)/[\w/.]+)`", text)]:
        assert (ROOT / name).exists(), f"{heading}: {name}"


def test_the_design_gives_a_reason_for_each_dependency() -> None:
    text = (
        (ROOT / "docs" / "design.md")
        .read_text(encoding="utf-8")
        .split("## Dependencies")[1]
        .split("\n## ")[0]
    )
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[dependency-groups]")[0]
    needed = {re.split(r"[\[>]", name)[0] for name in re.findall(r'"([a-z0-9\-\[\]]+)>=', project)}
    assert {name for name in needed if f"`{name}`" not in text} == {"hatchling"}, (
        "what builds it is not in it"
    )


def test_the_servers_page_was_measured_with_these_versions() -> None:
    """When one moves on: run tests/wire/test_servers.py, look whether the table still holds, and name the new one."""
    text = (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
    for name in ("uvicorn", "hypercorn", "granian", "daphne"):
        assert f"{name} {'.'.join(version(name).split('.')[:2])}" in text


def figures(page: str, heading: str) -> dict[str, str]:
    """The first figure of each subject under a heading of docs/benchmarks.md."""
    section = page.split(f"\n### {heading}\n")[1].split("\n### ", maxsplit=1)[0]
    rows = re.findall(r"^\| ([\w-]+)[^|]*\| ([\d.,]+) \|", section, re.MULTILINE)
    return dict(rows)


def test_what_stock_uvicorn_costs_is_what_was_measured() -> None:
    """When it was measured again: write the new figures into docs/servers.md, and look at the readmes' sentence."""
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    said = (
        (ROOT / "docs" / "servers.md")
        .read_text(encoding="utf-8")
        .split("\n## The fast lane\n")[1]
        .split("\n## ")[0]
    )
    rows = re.findall(r"^\| (\w[^|(]*?)(?: \([^|]*\))? \| (.+) \|$", said, re.MULTILINE)
    assert len(rows) == 7
    for heading, cells in rows:
        found = figures(measured, heading)
        assert cells.split(" | ") == [
            found[name] for name in ("holdfast-route", "holdfast-uvicorn", "fastapi")
        ]
    lane, stock = (int(figure.replace(",", "")) for figure in rows[0][1].split(" | ")[:2])
    assert 0.15 < stock / lane < 0.25, "the readmes say less than a quarter"
    for heading, times in (
        ("Handshakes a second, up to 10,000 connections", 6),
        ("One message at a time to 1,000 subscribers", 2),
    ):
        ours, by_hand = (
            float(figures(measured, heading)[name].replace(",", "")) for name in ("holdfast", "fastapi")
        )
        assert times <= ours / by_hand < times + 1, f"the readmes say {times} times"


def test_the_changelog_knows_this_version_and_keeps_its_order() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert releases[0].startswith("Unreleased\n")
    assert re.match(rf"{re.escape(holdfast.__version__)} - \d{{4}}-\d\d-\d\d\n", releases[1])
    for release in releases:
        kinds = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert kinds == [kind for kind in ORDER if kind in kinds]

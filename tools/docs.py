"""Write docs/settings.md and docs/cli.md from the code; with --check, fail if they are not what the code says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from holdfast.asgi.fastlane import tuning
from holdfast.cli import main as cli
from holdfast.cli.options import GROUPS, default_text, flag, is_secret, kind
from holdfast.settings import Settings, env_name

DOCS = Path(__file__).resolve().parent.parent / "docs"
MADE = "<!-- Made by `make docs` from {source}; change that instead. -->"


def settings_page() -> str:
    """Every setting, by group."""
    parts = [
        MADE.format(source="src/holdfast/settings.py"),
        "# Settings",
        "Each is an environment variable, and a flag of `holdfast serve` and `holdfast check-config`, where the flag "
        "wins; in a library it is a keyword argument: `Holdfast(access_token_expire_minutes=5)`. Secrets have no flag, "
        "since everybody on a machine can read the arguments of its processes. `holdfast check-config` shows what "
        "holds and where it comes from.",
    ]
    for group, names in GROUPS.items():
        rows = ["| variable | takes | default | what it does |", "|---|---|---|---|"]
        for name in names:
            default = default_text(name)
            shown = f"`{default}`" if default else "none"
            takes = kind(name).replace("|", r"\|").lower() if kind(name).isupper() else _choices(name)
            rows.append(
                f"| `{env_name(name)}`{_flag_note(name)} | {takes} | {shown} | {_cell(_description(name))} |"
            )
        parts += [f"## {group}", "\n".join(rows)]
    parts += [
        "## Not a setting",
        f"`{tuning.SWITCH}=0` keeps [the fast lane](servers.md#the-fast-lane) from setting Python's garbage collector. "
        "It concerns a whole process, so it is read from the environment alone: there is no flag and no keyword.",
    ]
    return "\n\n".join(parts) + "\n"


def cli_page() -> str:
    """Every command with its options."""
    root = get_command(cli.app)
    parts = [
        MADE.format(source="src/holdfast/cli"),
        "# The command line",
        _plain(root.help or ""),
        "The flags of `serve` and `check-config` that are settings are in [settings.md](settings.md).",
    ]
    for path, command in _commands(root, "holdfast"):
        parts += [f"## {path}", _plain(command.help or ""), f"    {_usage(path, command)}"]
        options = [row for parameter in command.params for row in _option_row(parameter)]
        if options:
            parts.append("\n".join(["| option | what it does |", "|---|---|", *options]))
    return "\n\n".join(parts) + "\n"


PAGES = {"settings.md": settings_page, "cli.md": cli_page}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name} is not what the code says; run: make docs", file=sys.stderr)
    return 1 if stale else 0


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _usage(path: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    words = [(p.metavar or p.name).upper() if p.required else f"[{p.name.upper()}]" for p in arguments]
    return " ".join([path, "[OPTIONS]", *words])


def _option_row(parameter: Any) -> Iterator[str]:
    name = parameter.name
    if name in Settings.model_fields and name != "data_dir":
        return
    if parameter.param_type_name == "argument":
        yield f"| `{name.upper()}` | {_cell(_plain(parameter.help or ''))} |"
        return
    takes = "" if parameter.is_flag else f" {parameter.metavar or 'TEXT'}"
    yield f"| `{', '.join(parameter.opts)}{takes}` | {_cell(_plain(parameter.help or ''))} |"


def _flag_note(name: str) -> str:
    return "" if is_secret(name) else f"<br>`{flag(name)}`"


def _choices(name: str) -> str:
    return ", ".join(f"`{choice}`" for choice in kind(name).split("|"))


def _description(name: str) -> str:
    return Settings.model_fields[name].description or ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _plain(markup: str) -> str:
    """Help text without the terminal's colours."""
    return re.sub(r"\[/?(?:[a-z]+ ?)*\]", "", markup).replace("\f", "").strip()


if __name__ == "__main__":
    sys.exit(main())

"""What is installed from a wheel has the dashboard; a wheel without one says so when it is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[2]
STATIC = "holdfast/server/static"
SOURCES = ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "src", "tools")


def build(root: Path, into: Path) -> tuple[ZipFile, str]:
    """The wheel, and what building it has said."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    (wheel,) = into.glob("*.whl")
    return ZipFile(wheel), done.stdout + done.stderr


@pytest.mark.usefixtures("dashboard")
def test_a_wheel_has_the_dashboard_and_serves_it(
    tmp_path: Path, start_server: Any, somebody: Any, is_held: Any
) -> None:
    wheel, told = build(ROOT, tmp_path / "dist")
    names = set(wheel.namelist())
    page = wheel.read(f"{STATIC}/index.html").decode()
    files = set(re.findall(r"/assets/[\w.-]+", page))
    assert len(files) > 5
    assert {f"{STATIC}{file}" for file in files} <= names
    assert "has no dashboard" not in told
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]

    installed = tmp_path / "site-packages"
    wheel.extractall(installed)
    (installed / STATIC / "index.html").write_text(page.replace("</head>", "<!-- from the wheel --></head>"))
    server = start_server(PYTHONPATH=str(installed))
    person = somebody(server)
    shown = person.sign_in()
    is_held(shown)
    expect(shown.get_by_role("heading", name="Live", exact=True)).to_be_visible()
    assert "<!-- from the wheel -->" in person.context.request.get(server.url).text()


def test_a_wheel_without_it_says_so(tmp_path: Path) -> None:
    root = tmp_path / "clone"
    root.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("static", "__pycache__"))
        else:
            shutil.copy(source, root / name)
    wheel, told = build(root, tmp_path / "dist")
    assert "holdfast/server/app.py" in wheel.namelist()
    assert not [name for name in wheel.namelist() if name.startswith(f"{STATIC}/")]
    assert "This wheel has no dashboard in it" in told
    assert "make wheel" in told

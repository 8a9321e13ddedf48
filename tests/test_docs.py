"""The pages that are made from the code are what the code says, and what the others name exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.asgi.fastlane import tuning
from holdfast.settings import Settings, env_name

ROOT = Path(__file__).parent.parent
EXAMPLES_OWN = {"HOLDFAST_EXAMPLE_PASSWORD"}
"""What a reader sets for the examples, and no server reads."""
SOURCE = ROOT / "src" / "holdfast"
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_pages_made_from_the_code_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_in_the_settings_page() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"`{env_name(name)}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_that_pages_name_are_settings(page: Path) -> None:
    known = {env_name(name) for name in Settings.model_fields} | {tuning.SWITCH} | EXAMPLES_OWN
    for name in re.findall(r"\bHOLDFAST_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")):
        assert name in known, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_tests_that_pages_name_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (ROOT / name).exists(), name
    for package, module in re.findall(r"`(" + "|".join(PACKAGES) + r")\.([a-z_]+)[`.]", text):
        found = SOURCE / package / f"{module}.py"
        assert found.exists() or (SOURCE / package / module).is_dir(), f"{package}.{module}"

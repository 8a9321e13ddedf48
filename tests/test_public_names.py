"""The public face: what `from holdfast import …` gives, and nothing that it does not promise."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import holdfast

PUBLIC = [
    "Action",
    "BadCredentials",
    "ConfigurationError",
    "ConnectionEnded",
    "Ending",
    "Grant",
    "History",
    "Holdfast",
    "HoldfastError",
    "LiveSocket",
    "MisuseError",
    "Position",
    "Principal",
    "RefusedError",
    "Renewal",
    "SessionEnded",
    "Settings",
    "State",
    "Throttled",
    "TokenError",
    "Unavailable",
    "__version__",
]


def test_these_names_are_promised() -> None:
    """Adding one is a decision, and taking one away breaks somebody."""
    assert sorted(holdfast.__all__) == PUBLIC
    assert sorted(dir(holdfast)) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there_and_documented(name: str) -> None:
    found = getattr(holdfast, name)
    assert isinstance(found, str) or found.__doc__


def test_a_name_that_is_not_promised_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sessions'"):
        holdfast.Sessions  # noqa: B018  # the access is the test


def test_type_checkers_see_the_same_names() -> None:
    """They read the imports under `TYPE_CHECKING`, which the lazy loading never runs."""
    tree = ast.parse(Path(holdfast.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast.")
        for alias in node.names
    }
    assert seen == set(PUBLIC) - {"__version__"}


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert holdfast.__version__ == version("holdfast")

"""pytest fixtures for apps that use Holdfast; loaded by pytest itself once `holdfast[testing]` is installed.

`running_holdfast` is a real server on a free port, with its own database in the test's temporary directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from holdfast.testing.server import RunningHoldfast


@pytest.fixture
def holdfast_factory(tmp_path: Path) -> Iterator[Callable[..., RunningHoldfast]]:
    """Start servers with settings of your own: `holdfast_factory(access_token_expire_minutes=0.1, app=make_app)`.

    `app` is a function from the `Holdfast` to the ASGI app to serve; without one it is Holdfast's own routes.
    """
    from holdfast.testing.server import RunningHoldfast

    with ExitStack() as stack:

        def start(app: Callable[..., Any] | None = None, **settings: Any) -> RunningHoldfast:
            settings.setdefault("data_dir", tmp_path / "holdfast")
            return stack.enter_context(RunningHoldfast(app, **settings))

        yield start


@pytest.fixture
def running_holdfast(holdfast_factory: Callable[..., RunningHoldfast]) -> RunningHoldfast:
    """A running Holdfast with default settings, and tokens of any age from its `token`."""
    return holdfast_factory()

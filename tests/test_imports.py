"""What importing Holdfast costs, and what it must not bring along."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    """Which modules are loaded in a fresh interpreter once it has run `statement`."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_protocol_and_the_core_stand_on_the_language_alone() -> None:
    loaded = modules_after("import holdfast.core.connection, holdfast.core.rotation, holdfast.protocol.codec")
    assert not loaded & {
        "asyncio",
        "pydantic",
        "starlette",
        "sqlalchemy",
        "jwt",
        "logging",
        "secrets",
        "uuid",
    }


def test_the_python_client_does_not_bring_the_server_along() -> None:
    loaded = modules_after("import holdfast.client")
    assert not loaded & {"starlette", "fastapi", "sqlalchemy", "alembic", "uvicorn", "argon2", "jwt", "typer"}


def test_a_starlette_app_needs_neither_fastapi_nor_the_server() -> None:
    loaded = modules_after("from holdfast import Holdfast")
    assert not loaded & {"fastapi", "uvicorn", "typer", "prometheus_client", "pytest", "httpx"}


def test_importing_starts_nothing() -> None:
    """No thread, no event loop, no file: work begins with `start`."""
    loaded = "import holdfast, threading; assert threading.active_count() == 1, threading.enumerate()"
    assert modules_after(loaded)


@pytest.mark.parametrize("module", ["holdfast.cli.main", "holdfast.server.app", "holdfast.testing"])
def test_each_upper_layer_imports_by_itself(module: str) -> None:
    assert module in modules_after(f"import {module}")


def test_help_does_not_wait_for_the_database() -> None:
    """`holdfast --help` is typed by people in a hurry."""
    loaded = modules_after("import holdfast.cli.main")
    assert not loaded & {"sqlalchemy", "alembic", "uvicorn", "fastapi", "argon2", "prometheus_client"}

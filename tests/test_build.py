"""The part in C is built where it can be; where it cannot, the wheel is without it, and the build says so."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from holdfast.asgi.fastlane import descriptors

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "src", "tools")
COMPILED = "holdfast/asgi/fastlane/_descriptors.abi3.so"

can_compile = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc"))
    or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="there is no compiler, or Python's headers are not there",
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The sources, with nothing that was built from them."""
    built = shutil.ignore_patterns("static", "__pycache__", "*.so")
    root = tmp_path / "clone"
    root.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=built)
        else:
            shutil.copy(source, root / name)
    return root


def build(root: Path, **environment: str) -> tuple[Path, str]:
    """The wheel, and what building it has said."""
    into = root / "dist"
    shutil.rmtree(into, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    scratch = root / "tmp"
    scratch.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(scratch), **environment}
    done = subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True)
    (wheel,) = into.glob("*.whl")
    assert not list(scratch.iterdir())
    return wheel, done.stdout + done.stderr


def compiled_in(wheel: Path, into: Path) -> bool:
    """Whether a new process that imports Holdfast from the wheel has the part in C."""
    with ZipFile(wheel) as archive:
        archive.extractall(into)
    env = {**os.environ, "PYTHONPATH": str(into)}
    look = "from holdfast.asgi.fastlane import descriptors as d; print(d.COMPILED, d.__file__)"
    command = [sys.executable, "-W", "error", "-c", look]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    compiled, file = done.stdout.split(maxsplit=1)
    assert file.startswith(str(into))
    return compiled == "True"


@can_compile
def test_a_wheel_has_it_compiled_for_every_python_to_come(clone: Path, tmp_path: Path) -> None:
    wheel, told = build(clone)
    assert "-cp311-abi3-" in wheel.name
    assert "manylinux" not in wheel.name
    names = ZipFile(wheel).namelist()
    assert COMPILED in names
    assert not [name for name in names if name.endswith(".c")]
    assert "in Python" not in told
    assert not (clone / "src" / COMPILED).exists()  # the sources may be where nothing can be written
    assert compiled_in(wheel, tmp_path / "site-packages")


def test_what_is_no_program_keeps_no_wheel_from_being_built(clone: Path, tmp_path: Path) -> None:
    compiler = tmp_path / "a compiler"
    compiler.write_text("nothing that can be started")
    compiler.chmod(0o755)
    wheel, told = build(clone, CC=str(compiler))
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "cannot be started" in told


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        ("no-such-compiler", "no compiler no-such-compiler"),
        ("gcc 'with half a quote", "no compiler gcc"),
        ("false", "the compiler refused"),
        ("true", "the compiler refused"),  # nor does it make anything
    ],
)
def test_where_it_cannot_be_compiled_the_wheel_is_for_any_machine(
    clone: Path, tmp_path: Path, compiler: str, why: str
) -> None:
    (clone / "src" / COMPILED).write_bytes(b"of a machine that had a compiler")
    wheel, told = build(clone, CC=compiler)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert COMPILED not in ZipFile(wheel).namelist()
    assert "Holdfast will write to its subscribers in Python" in told
    assert why in told
    assert not compiled_in(wheel, tmp_path / "site-packages")


@can_compile
def test_an_editable_install_has_it_beside_its_source_and_never_an_old_one(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = runpy.run_path(str(clone / "tools" / "wheel_hook.py"))
    source, built = clone / hook["SOURCE"], clone / hook["BUILT"]
    before = {*source.parent.iterdir()}
    hook["compile_beside"](source, built)
    assert {*source.parent.iterdir()} == before | {built}
    monkeypatch.setenv("CC", "false")
    with pytest.raises(hook["NotCompiledError"], match="refused"):
        hook["compile_beside"](source, built)
    assert {*source.parent.iterdir()} == before


@can_compile
def test_the_set_up_of_this_project_has_compiled_it() -> None:
    assert descriptors.COMPILED, "set up again: touch pyproject.toml && make test"


@can_compile
def test_it_is_compiled_without_a_warning(clone: Path) -> None:
    compiler = shutil.which("gcc") or "cc"
    wheel, _ = build(clone, CC=f"{compiler} -Werror -Wconversion -Wshadow")
    assert COMPILED in ZipFile(wheel).namelist()

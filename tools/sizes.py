"""Fail when a module or function has grown past what one can hold in the head.

Modules: at most 500 lines. Functions: at most 60, their docstring not counted. A migration may be as long as its list
of tables.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 500
FUNCTION_LINES = 60
ROOT = Path(__file__).resolve().parent.parent


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, without the docstring."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def problems(path: Path, source: str) -> Iterator[str]:
    """What is too large in one module."""
    lines = source.count("\n")
    if lines > MODULE_LINES:
        yield f"{path}: {lines} lines; split it, a module has at most {MODULE_LINES}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = body_lines(node)
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES}"


def main() -> int:
    found = [
        problem
        for folder in ("src", "tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.parent.name != "versions"
        for problem in problems(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    ]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

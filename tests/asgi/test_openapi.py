from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from holdfast.asgi.routes import build_router, build_routes
from holdfast.settings import Settings


@pytest.fixture
def schema() -> dict[str, Any]:
    app = FastAPI()
    app.include_router(build_router(None, Settings()))
    return app.openapi()


def operations(schema: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_documented_and_nothing_else(schema: dict[str, Any]) -> None:
    served = {
        (method, route.path)
        for route in build_routes(None, Settings())
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(operations(schema)) == served
    assert len(served) == 11


def test_every_operation_says_what_it_does_answers_and_refuses(schema: dict[str, Any]) -> None:
    for (method, path), operation in operations(schema).items():
        where = f"{method} {path}"
        assert operation["summary"], where
        assert not operation["summary"].endswith("."), where
        for status, answer in operation["responses"].items():
            if status == "204":
                assert "content" not in answer, where
            else:
                assert "application/json" in answer["content"], f"{where} {status}"
        assert operation["responses"]["503"], where


def test_the_authorize_button_of_the_docs_page_works(schema: dict[str, Any]) -> None:
    (scheme,) = schema["components"]["securitySchemes"].values()
    assert scheme["flows"]["password"]["tokenUrl"] == "token"
    form = operations(schema)["POST", "/token"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    assert {"username", "password", "grant_type", "client"} <= set(form["schema"]["properties"])
    protected = {path for (_, path), operation in operations(schema).items() if "security" in operation}
    assert protected == {
        "/auth/confirm",
        "/auth/logout-everywhere",
        "/auth/me",
        "/auth/sessions",
        "/auth/sessions/{sid}",
        "/auth/password",
        "/auth/ticket",
    }


def test_the_header_is_documented_where_it_is_needed(schema: dict[str, Any]) -> None:
    for (method, path), operation in operations(schema).items():
        names = [parameter["name"] for parameter in operation.get("parameters", ())]
        assert ("X-Holdfast" in names) is (method != "GET" and path != "/token")
        assert ("403" in operation["responses"]) is (method != "GET")


def test_no_documented_answer_of_a_body_is_left_to_guessing(schema: dict[str, Any]) -> None:
    for operation in operations(schema).values():
        if "requestBody" in operation:
            assert "422" in operation["responses"]


def test_two_routers_can_stand_in_one_app() -> None:
    app = FastAPI()
    app.include_router(build_router(None, Settings()), prefix="/one")
    app.include_router(build_router(None, Settings()), prefix="/two")
    assert len(app.openapi()["paths"]) == 22

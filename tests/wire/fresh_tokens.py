"""Hooks of schemathesis for requests that end their own session: each has a token of a session of its own."""

from __future__ import annotations

import os
from typing import Any

import httpx
import schemathesis

URL, PASSWORD = os.environ["FRESH_TOKENS_FROM"], os.environ["HOLDFAST_ADMIN_PASSWORD"]


@schemathesis.auth(refresh_interval=None)
class Fresh:
    """Signs in for every request."""

    def get(self, _case: Any, _context: Any) -> str:
        form = {"username": "admin", "password": PASSWORD, "client": "program"}
        token: str = (
            httpx.post(f"{URL}/token", data=form, timeout=20).raise_for_status().json()["access_token"]
        )
        return token

    def set(self, case: Any, data: str, _context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"

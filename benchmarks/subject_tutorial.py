"""The same by hand, as tutorials have it: FastAPI and PyJWT, the token checked once, at the handshake.

It accepts before it refuses, so that browsers see the close code; many tutorials do not.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"
ACCESS_SECONDS, REFRESH_SECONDS = 86_400, 14 * 86_400


def token(user: str, kind: str, seconds: int, jti: str) -> str:
    now = int(time.time())
    claims = {"sub": user, "type": kind, "jti": jti, "iat": now, "exp": now + seconds}
    return jwt.encode(claims, SECRET_KEY, algorithm=ALGORITHM)


def tokens(user: str, jti: str) -> dict[str, Any]:
    return {
        "access_token": token(user, "access", ACCESS_SECONDS, uuid.uuid4().hex),
        "refresh_token": token(user, "refresh", REFRESH_SECONDS, jti),
        "token_type": "bearer",
        "expires_in": ACCESS_SECONDS,
    }


def claims_of(text: str, kind: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(text, SECRET_KEY, algorithms=[ALGORITHM])
    if claims.get("type") != kind:
        raise jwt.InvalidTokenError("wrong type of token")
    return claims


class Store:
    """The refresh token in force of each user, in SQLite; every change is on the disk before it is answered."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS refresh (user TEXT PRIMARY KEY, jti TEXT)")

    def put(self, user: str, jti: str) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO refresh VALUES (?, ?)", (user, jti))

    def swap(self, user: str, old: str, new: str) -> bool:
        with self._lock:
            changed = self._database.execute(
                "UPDATE refresh SET jti = ? WHERE user = ? AND jti = ?", (new, user, old)
            )
            return changed.rowcount == 1


class Refresh(BaseModel):
    refresh_token: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> Any:
    app.state.store = Store(Path(os.environ["TUTORIAL_DIR"]) / "tutorial.db")
    yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/live")
async def live(websocket: WebSocket, token: str) -> None:
    await websocket.accept()
    try:
        claims_of(token, "access")
    except jwt.ExpiredSignatureError:
        await websocket.close(4003, "Token expired")
        return
    except jwt.InvalidTokenError:
        await websocket.close(4003, "Invalid token")
        return
    try:
        while True:
            message = await websocket.receive_json()
            await websocket.send_json({"echo": message})
    except WebSocketDisconnect:
        return


@app.post("/bench/session")
def session(user: str) -> dict[str, Any]:
    jti = uuid.uuid4().hex
    app.state.store.put(user, jti)
    return tokens(user, jti)


@app.post("/auth/refresh")
async def refresh(body: Refresh) -> dict[str, Any]:
    """Nothing is stored: a stolen refresh token works until it expires, and nobody can be signed out."""
    try:
        claims = claims_of(body.refresh_token, "refresh")
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid refresh token") from None
    return tokens(claims["sub"], uuid.uuid4().hex)


@app.post("/auth/refresh-stored")
def refresh_stored(body: Refresh) -> dict[str, Any]:
    """Each refresh token works once; a lost answer, or a second tab, signs the user out."""
    try:
        claims = claims_of(body.refresh_token, "refresh")
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid refresh token") from None
    jti = uuid.uuid4().hex
    if not app.state.store.swap(claims["sub"], claims["jti"], jti):
        raise HTTPException(401, "Refresh token was used")
    return tokens(claims["sub"], jti)

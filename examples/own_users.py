"""An app that has users and a sign-in of its own; Holdfast gives it sessions and live connections.

    export SECRET_KEY=$(openssl rand -hex 32)
    uvicorn --app-dir examples own_users:app

Sign in as ann, or as root, who may ban:

    curl -d '{"name": "ann", "password": "correct horse battery staple", "client": "program"}' \
        -H 'Content-Type: application/json' http://127.0.0.1:8000/login
"""

from dataclasses import dataclass
from hashlib import scrypt
from hmac import compare_digest
from typing import Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, SecretStr

from holdfast import Holdfast, LiveSocket, Principal


@dataclass
class Account:
    """A row of the app's own table; only its id, name and roles are ever shown to Holdfast."""

    id: str
    name: str
    salt: bytes
    password_hash: bytes
    roles: tuple[str, ...] = ()
    banned: bool = False


def hashed(password: str, salt: bytes) -> bytes:
    return scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


PASSWORD = "correct horse battery staple"  # noqa: S105  # of made-up people
ACCOUNTS = {
    "ann": Account("17", "ann", b"salt 1", hashed(PASSWORD, b"salt 1")),
    "root": Account("18", "root", b"salt 2", hashed(PASSWORD, b"salt 2"), roles=("admin",)),
}


class Login(BaseModel):
    """A JSON body, on purpose: no foreign page can send one here without asking first."""

    name: str
    password: SecretStr
    client: Literal["browser", "program"] = "browser"


hold = Holdfast()
app = FastAPI(lifespan=hold.lifespan)
app.include_router(hold.router)


def find(given: Login) -> Account:
    account = ACCOUNTS.get(given.name)
    digest = hashed(given.password.get_secret_value(), account.salt if account else b"")
    if account is None or not compare_digest(digest, account.password_hash):
        raise HTTPException(401, "the name or the password is not right")
    if account.banned:
        raise HTTPException(403, "this account is banned")
    return account


@app.post("/login")
async def login(given: Login, request: Request) -> Response:
    """Check the password yourself, then let Holdfast open a session and answer as its own /token would."""
    account = await run_in_threadpool(find, given)
    grant = await hold.sign_in(account.id, name=account.name, roles=account.roles, client=given.client)
    return hold.answer(request, grant)


@app.post("/ban/{name}")
async def ban(name: str, user: Principal = hold.user) -> dict[str, str]:
    """Your table keeps them from coming back; Holdfast ends what is open, in every process."""
    if not user.has_role("admin"):
        raise HTTPException(403, "for administrators")
    account = ACCOUNTS[name]
    account.banned = True
    await hold.revoke(user=account.id, reason="banned")
    return {"banned": name}


@app.websocket("/jobs")
async def jobs(socket: LiveSocket = hold.live) -> None:
    async for message in socket:
        await socket.send_json({"echo": message, "to": socket.user.name})

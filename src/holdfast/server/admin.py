"""The admin API under /admin, for people with the role `admin`.

Connections and counts are those of the process that answers; users, sessions and events are everybody's. A revocation
reaches every process, whichever took it.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from holdfast.asgi.guard import Guard
from holdfast.asgi.models import Refusal
from holdfast.asgi.principal import Principal
from holdfast.asgi.proxy import client_address
from holdfast.errors import Conflict, Forbidden, NotFound
from holdfast.ports import AuditEvent, User
from holdfast.protocol import channels, endings
from holdfast.server import admin_models as models
from holdfast.server.first_start import ADMIN

if TYPE_CHECKING:
    from holdfast.hold import Holdfast
    from holdfast.server.metrics import Meter
    from holdfast.server.stats import Sampler

MAX_PAGE = 500

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": description}
    for status, description in {
        400: "The body is not text.",
        401: "Not signed in, or not any more.",
        403: "Not an administrator, or the header `X-Holdfast: 1` is missing.",
        404: "Nothing here by that name.",
        409: "It is so already, or would lock you out.",
        422: "The request cannot be understood.",
        503: "Something that the server stands on does not answer.",
    }.items()
}


class Admin:
    """What an administrator can see and do; one method for each route."""

    def __init__(self, hold: Holdfast, meter: Meter, sampler: Sampler) -> None:
        self.hold = hold
        self.meter = meter
        self.sampler = sampler
        self.node = f"{socket.gethostname()}:{os.getpid()}"
        self.started_at = hold.clock.now()

    # Connections

    async def connections(self) -> models.Connections:
        """The live connections of this process, with what is left of their leases and what has happened to them."""
        now = self.hold.clock.now()
        found = [models.Connection.of(driver, now) for driver in self.hold.connections]
        return models.Connections(node=self.node, now=now, connections=found)

    async def disconnect(self, connection_id: str, by: By) -> None:
        """Close one connection of this process (1001). Its session goes on, so the client comes back."""
        driver = self.hold.connections.get(connection_id)
        if driver is None:
            raise NotFound("There is no such connection in this process.")
        proof = driver.proof
        driver.end(endings.DISCONNECTED)
        await by.record(
            "admin.disconnected",
            user_id=proof.user if proof else None,
            session_id=proof.session if proof else None,
            data={"connection": connection_id},
        )

    # Sessions

    async def sessions(
        self,
        user: Annotated[str | None, Query(description="Only those of this user, by id or name.")] = None,
        active: Annotated[bool, Query(description="Only those that can still be refreshed.")] = True,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> models.Sessions:
        """Sessions, newest first."""
        now = self.hold.clock.now()
        user_id = (await self._user(user)).id if user is not None else None
        found = await self.hold.store.sessions(user_id=user_id, active_at=now if active else None)
        names = {person.id: person.name for person in await self.hold.store.users()}
        page = [
            models.Session.of(
                session, names.get(session.user_id), len(self.hold.connections.of_session(session.id))
            )
            for session in found[offset : offset + limit]
        ]
        return models.Sessions(total=len(found), now=now, sessions=page)

    async def revoke_session(
        self,
        session_id: str,
        by: By,
        reason: Annotated[str, Query(max_length=models.MAX_REASON)] = models.BY_ADMIN,
    ) -> None:
        """End a session and its connections, in every process."""
        session = await self.hold.store.session(session_id)
        if session is None:
            raise NotFound("There is no such session.")
        await by.record(
            "admin.revoked", user_id=session.user_id, session_id=session_id, data={"reason": reason}
        )
        await self.hold.revoke(session=session_id, reason=reason)

    async def revoke(self, body: models.Revocation, by: By) -> None:
        """End one session, or every session of a user (id or name; `sub` and `issuer` of somebody from outside)."""
        if body.session is not None:
            await self.revoke_session(body.session, by, body.reason)
        if body.user is not None:
            outside = body.issuer not in (None, self.hold.settings.issuer)
            known = None if outside else await self._known(body.user)
            user_id = known.id if known is not None else body.user
            facts = {"reason": body.reason} | ({"issuer": body.issuer} if body.issuer else {})
            await by.record("admin.revoked", user_id=user_id, data=facts)
            await self.hold.revoke(user=user_id, issuer=body.issuer, reason=body.reason)

    # Channels

    async def publish(
        self,
        body: models.Publication,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=channels.MAX_KEY_LENGTH,
                description="The same key again, within five minutes, publishes nothing and answers the same.",
            ),
        ] = None,
    ) -> models.Position:
        """Publish to a channel, whatever its rule says."""
        position = await self.hold.publish(body.channel, body.data, key=idempotency_key)
        return models.Position(epoch=position.epoch, offset=position.offset)

    # Users

    async def users(self) -> models.Users:
        """Everybody, by name."""
        return models.Users(users=[models.User.of(user) for user in await self.hold.store.users()])

    async def add_user(self, body: models.NewUser, by: By) -> models.User:
        """Add somebody who can sign in."""
        user = await self.hold.sessions.add_user(body.name, body.password.get_secret_value(), body.roles)
        await by.record("admin.user_added", user_id=user.id, data={"roles": list(user.roles)})
        return models.User.of(user)

    async def disable(self, user_id: str, by: By) -> models.User:
        """Keep somebody out, and end all of their sessions now."""
        user = await self._user(user_id)
        if by.is_(user):
            raise Conflict("You cannot disable yourself: ask another administrator.")
        await by.record("admin.user_disabled", user_id=user.id)
        await self.hold.sessions.set_disabled(user.id, True)
        return models.User.of(await self._user(user.id))

    async def enable(self, user_id: str, by: By) -> models.User:
        """Let somebody sign in again."""
        user = await self._user(user_id)
        await by.record("admin.user_enabled", user_id=user.id)
        await self.hold.sessions.set_disabled(user.id, False)
        return models.User.of(await self._user(user.id))

    # Numbers and events

    async def stats(self) -> models.Stats:
        """Counts of this process since it started, and how they went over the last hour."""
        meter, live = self.meter, list(self.hold.connections)
        return models.Stats(
            node=self.node,
            now=self.hold.clock.now(),
            started_at=self.started_at,
            live_by_state=dict(Counter(str(driver.state) for driver in live)),
            live_by_carrier=dict(Counter(str(driver.visitor.carrier) for driver in live)),
            totals=models.Sample(**asdict(self.sampler.present())),
            renewals=dict(meter.renewals),
            healed=meter.healed,
            renewals_refused=meter.renewals_refused,
            closes=[
                models.Close(by=who, code=code, reason=reason, count=count)
                for (who, code, reason), count in sorted(meter.closes.items())
            ],
            handshakes_refused=dict(meter.handshakes_refused),
            channels=meter.open_channels,
            refreshes=meter.refreshes(),
            sign_ins=meter.sign_ins(),
            samples=[models.Sample(**asdict(sample)) for sample in self.sampler.samples],
        )

    async def events(
        self,
        before: Annotated[int | None, Query(ge=1, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    ) -> models.Events:
        """The audit log, newest first; `next` is null on the last page, and a page may be shorter than its limit."""
        end = before if before is not None else await self.hold.store.latest_event_id() + 1
        start = max(0, end - 1 - limit)
        found = await self.hold.store.events_after(start, limit=limit)
        page = [models.Event.of(event) for event in found if event.id is not None and event.id < end]
        return models.Events(events=page[::-1], next=start + 1 if start > 0 else None)

    async def _known(self, id_or_name: str) -> User | None:
        return await self.hold.store.user(id_or_name) or await self.hold.store.user_named(id_or_name)

    async def _user(self, id_or_name: str) -> User:
        found = await self._known(id_or_name)
        if found is None:
            raise NotFound("There is no such user.")
        return found


class Actor:
    """The administrator who asks, for the audit log."""

    def __init__(self, hold: Holdfast, principal: Principal, address: str | None) -> None:
        self._hold = hold
        self.principal = principal
        self._address = address
        self._is_ours = principal.issuer == hold.settings.issuer
        self._by_issuer = {} if self._is_ours else {"by_issuer": principal.issuer}

    def is_(self, user: User) -> bool:
        """Whether this is the administrator's own row; somebody of an outside issuer has none, whatever their `sub`."""
        return self._is_ours and user.id == self.principal.id

    async def record(
        self,
        kind: str,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Write down what is about to be done, so that a crash half-way leaves a trace."""
        await self._hold.store.record(
            AuditEvent(
                kind=kind,
                at=self._hold.clock.now(),
                user_id=user_id,
                session_id=session_id,
                address=self._address,
                data={
                    **(data or {}),
                    "by": self.principal.id,
                    "by_name": self.principal.name,
                    **self._by_issuer,
                },
            )
        )


async def actor(request: Request) -> Actor:
    """The administrator that the router's guard has let in."""
    found: Actor = request.state.actor
    return found


By = Annotated[Actor, Depends(actor)]


def build_admin(hold: Holdfast, meter: Meter, sampler: Sampler) -> APIRouter:
    """The routes under /admin."""

    async def guard(request: Request, response: Response, principal: Principal = hold.user) -> None:
        if not await _is_admin(hold, principal):
            raise Forbidden("This is for administrators.", detail="not an admin")
        address = client_address(request.scope, trusted=hold.settings.trusted_proxies)
        request.state.actor = Actor(hold, principal, address)
        response.headers["Cache-Control"] = "no-store"

    async def deliberate(request: Request, x_holdfast: Annotated[str, Header()] = "") -> None:  # noqa: ARG001  # for OpenAPI
        rules.check(request)

    rules = Guard(hold.settings)
    admin = Admin(hold, meter, sampler)
    router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(guard)], responses=REFUSALS)
    change = partial(router.add_api_route, dependencies=[Depends(deliberate)])
    router.add_api_route("/connections", admin.connections, methods=["GET"])
    change("/connections/{connection_id}/disconnect", admin.disconnect, methods=["POST"], status_code=204)
    router.add_api_route("/sessions", admin.sessions, methods=["GET"])
    change("/sessions/{session_id}", admin.revoke_session, methods=["DELETE"], status_code=204)
    change("/revoke", admin.revoke, methods=["POST"], status_code=204)
    change("/publish", admin.publish, methods=["POST"])
    router.add_api_route("/users", admin.users, methods=["GET"])
    change("/users", admin.add_user, methods=["POST"], status_code=201)
    change("/users/{user_id}/disable", admin.disable, methods=["POST"])
    change("/users/{user_id}/enable", admin.enable, methods=["POST"])
    router.add_api_route("/stats", admin.stats, methods=["GET"])
    router.add_api_route("/events", admin.events, methods=["GET"])
    return router


async def _is_admin(hold: Holdfast, principal: Principal) -> bool:
    """Roles in a token are as old as the token; where there is a row, the row decides."""
    if principal.issuer != hold.settings.issuer:
        return principal.has_role(ADMIN)
    user = await hold.store.user(principal.id)
    return user is not None and not user.disabled and ADMIN in user.roles

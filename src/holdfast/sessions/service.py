"""Sessions, as the rest of Holdfast sees them: signing in, refreshing, checking tokens, ending.

Reasons go to the log and the audit trail; what is raised says only what the person needs to know.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from holdfast.core.connection import Proof
from holdfast.core.lease import refresh_in
from holdfast.core.policy import SessionPolicy
from holdfast.core.rotation import Outcome
from holdfast.errors import (
    BadCredentials,
    Forbidden,
    MisuseError,
    NotFound,
    Throttled,
    TokenInvalid,
    TokenReused,
    Unavailable,
)
from holdfast.logs import get_logger
from holdfast.ports import (
    AuditEvent,
    Clock,
    Observer,
    Presented,
    Random,
    RefreshTokens,
    Session,
    SessionStore,
    TokenIssuer,
    TokenVerifier,
    User,
)
from holdfast.sessions import names
from holdfast.sessions.accounts import Accounts, new_id
from holdfast.sessions.audit import Audit
from holdfast.sessions.grant import Client, Grant
from holdfast.sessions.log import EventLog
from holdfast.sessions.passwords import Passwords
from holdfast.sessions.revocations import Revocations, session_ended
from holdfast.sessions.sweeper import Sweeper
from holdfast.sessions.throttle import Throttle
from holdfast.sessions.tickets import Tickets

SALT_BYTES = 16
MAX_CONFIRMED = 65_536
"""Sessions whose confirmed generation is remembered here; forgetting one costs a write that changes nothing."""

ELSEWHERE = "You signed in elsewhere, so this can only be done there."
"""To people of an outside issuer, who have no session and no password here."""

logger = get_logger("holdfast.sessions")


class Sessions:
    """Everything that happens to sessions, in one process; call `start` first and `aclose` last."""

    def __init__(
        self,
        *,
        store: SessionStore,
        issuer: TokenIssuer,
        verifier: TokenVerifier,
        refresh_tokens: RefreshTokens,
        clock: Clock,
        random: Random,
        policy: SessionPolicy,
        refresh_lead: float,
        passwords: Passwords | None = None,
        throttle: Throttle | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._verifier = verifier
        self._refresh_tokens = refresh_tokens
        self._clock = clock
        self._random = random
        self._policy = policy
        self._refresh_lead = refresh_lead
        self._passwords = passwords or Passwords()
        self._throttle = throttle or Throttle(clock)
        self._audit = Audit(store=store, clock=clock, throttle=self._throttle, observer=observer)
        self._accounts = Accounts(
            store=store, passwords=self._passwords, throttle=self._throttle, clock=clock, random=random
        )
        self._tickets = Tickets(store=store, clock=clock, random=random)
        self._confirmed: OrderedDict[str, int] = OrderedDict()
        self._sweeper = Sweeper(store, clock)
        self.log = EventLog(store, clock)
        self.revocations = Revocations(lifetime=policy.access_lifetime, issuer=issuer.issuer)
        self.log.subscribe(self.revocations.apply)

    # Life

    async def start(self) -> None:
        """Learn what was revoked, and follow the log from there; the store is started already."""
        await self.log.start()
        try:
            revoked = await self._store.revocations_since(self._clock.now() - self.revocations.since)
        except BaseException:
            await self.log.aclose()
            raise
        for event in revoked:
            self.revocations.apply(event)
        self._sweeper.start()

    async def aclose(self) -> None:
        """Stop following the log and give back the threads."""
        await self.log.aclose()
        await self._sweeper.aclose()
        self._passwords.close()

    def now(self) -> float:
        """The time that all of this goes by."""
        return self._clock.now()

    # Signing in

    async def sign_in(
        self, name: str, password: str, *, client: Client, address: str | None, user_agent: str | None
    ) -> Grant:
        """A new session for somebody who knows the password.

        Raises:
            BadCredentials: name and password do not belong together.
            Forbidden: the account is disabled.
            Throttled: too many tries; `retry_after` says when to try again.
        """
        try:
            user = await self._accounts.prove(name, password, address=address)
        except (BadCredentials, Forbidden, Throttled) as error:
            await self._audit.sign_in_refused(name, address, error)
            raise
        grant = await self._open(user, client=client, address=address, user_agent=user_agent)
        if not await self._accounts.still_knows(user, password):
            # Changed between the check and the new session, so whoever changed it could not end this one.
            await self.log_out(grant.session.id, reason="password_changed")
            raise BadCredentials(detail="the password was changed during the sign-in")
        return grant

    async def open(
        self,
        user_id: str,
        *,
        name: str,
        roles: Iterable[str] = (),
        client: Client,
        address: str | None = None,
        user_agent: str | None = None,
    ) -> Grant:
        """A new session for somebody whom the app has checked itself; the user's row is made, or its roles updated.

        Raises:
            BadInput: the id, name or roles cannot be used.
            Conflict: the name belongs to another id.
            SessionEnded: the user is disabled here.
        """
        user = await self._accounts.take_in(user_id, name, roles)
        return await self._open(user, client=client, address=address, user_agent=user_agent)

    # Refreshing and checking

    async def refresh(self, token: str, *, address: str | None, user_agent: str | None = None) -> Grant:
        """New tokens for a refresh token, by the rules of `core.rotation`.

        Raises:
            TokenInvalid: not one of ours; nothing was touched.
            SessionEnded: its session is over; `reason` says why.
            TokenReused: it was replaced long ago, so its session has been ended.
            Throttled: this address sent too many that are not ours.
        """
        try:
            presented, row = await self._presented(token)
        except TokenInvalid as error:
            await self._audit.bad_token(address, error)
            raise
        now = self._clock.now()
        rotated = await self._store.rotate(
            presented.sid,
            presented.generation,
            now=now,
            policy=self._policy,
            kid=self._refresh_tokens.kid,
            access_expires_at=self._expires_at(row, now),
        )
        outcome, reason = rotated.decision.outcome, rotated.decision.reason
        self._audit.count(f"refresh.{outcome.value}")
        note = logger.info if outcome.hands_out else logger.warning
        note(
            "refresh",
            outcome=outcome.value,
            reason=reason,
            session=row.id,
            user=row.user_id,
            address=address,
            user_agent=names.device(user_agent),
        )
        if rotated.event_id is not None:
            await self.log.catch_up(rotated.event_id)
        match outcome:
            case Outcome.REUSE:
                raise TokenReused(detail="an old generation came back")
            case Outcome.UNKNOWN:
                raise TokenInvalid(detail="its session is gone")
            case Outcome.DENY | Outcome.AHEAD:
                raise session_ended(reason)
        assert rotated.session is not None
        assert rotated.user is not None
        return self._grant(rotated.session, rotated.user, outcome)

    async def authenticate(self, token: str) -> Proof:
        """The proof in an access token that is good and not revoked; the one check for HTTP and WebSockets.

        It asks the store only once for each generation of a session, to confirm that the client holds it. A store that
        cannot take that is no reason to refuse a good token: the next check tries again.

        Raises:
            TokenExpired, TokenInvalid: the token proves nothing (any more).
            SessionEnded: it was revoked.
            Unavailable: the keys of an outside issuer cannot be fetched just now.
        """
        now = self._clock.now()
        proof = await self._verifier.verify(token, now=now)
        self.revocations.check(proof, now)
        if proof.generation > 1:
            try:
                await self.confirm(proof)
            except Unavailable as error:
                logger.warning("a generation could not be confirmed", session=proof.session, error=str(error))
        return proof

    def check_revoked(self, proof: Proof) -> None:
        """Raise `SessionEnded` if the proof was revoked after it was made; never waits."""
        self.revocations.check(proof, self._clock.now())

    async def confirm(self, proof: Proof) -> None:
        """The client has shown that it holds this generation, so from now on the one before it is a theft (row C).

        Raises:
            Unavailable: the store cannot take it just now.
        """
        sid, generation = proof.session, proof.generation
        if sid is None or generation <= 1:
            return
        if self._confirmed.get(sid, 0) >= generation:
            self._confirmed.move_to_end(sid)
            return
        await self._store.confirm(sid, generation, now=self._clock.now())
        self._confirmed[sid] = max(generation, self._confirmed.get(sid, 0))
        self._confirmed.move_to_end(sid)
        if len(self._confirmed) > MAX_CONFIRMED:
            self._confirmed.popitem(last=False)

    # Ending

    async def log_out(self, session_id: str, *, reason: str = "signed_out") -> None:
        """End a session and its connections everywhere; one that is over already is left as it is."""
        event = await self._store.revoke_session(session_id, reason=reason, now=self._clock.now())
        if event is None:
            return
        self._audit.count("session.revoked")
        logger.info("session ended", session=session_id, user=event.user_id, reason=reason)
        await self.log.catch_up(event.id)

    async def log_out_by_token(self, token: str) -> str | None:
        """End the session of a refresh token, of whatever generation; its id, or `None` if the token is not ours."""
        try:
            presented, row = await self._presented(token)
        except TokenInvalid as error:
            logger.info("signed out with a token that is not ours", detail=error.detail)
            return None
        await self.log_out(row.id)
        return presented.sid

    async def log_out_by_proof(self, proof: Proof) -> None:
        """End the session that an access token is of. Raises `Forbidden` for people of an outside issuer."""
        self._check_ours(proof)
        if proof.session is not None:
            await self.log_out(proof.session)

    async def log_out_everywhere(self, proof: Proof, *, keep_this: bool = False) -> None:
        """End every session of one's own, or every other one. Raises `Forbidden` for people of an outside issuer."""
        self._check_ours(proof)
        keep = proof.session if keep_this else None
        await self._revoke_user(proof.user, reason="signed_out_everywhere", keep=keep)

    async def end_session(self, proof: Proof, session_id: str) -> None:
        """End a session of one's own. Raises `NotFound` for anything else."""
        session = await self._store.session(session_id) if self._is_ours(proof) else None
        if session is None or session.user_id != proof.user or not _is_active(session, self._clock.now()):
            raise NotFound("There is no such session.")
        await self.log_out(session_id)

    async def revoke(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        issuer: str | None = None,
        reason: str = "",
    ) -> None:
        """End one session, or every session of a user: by id or name, or by `sub` where `issuer` is an outside one.

        Without an `issuer`, a user known here is meant, and otherwise whoever has this `sub`, at any issuer.

        Raises:
            MisuseError: neither a user nor a session is named, or an issuer without a user.
        """
        if (user is None and session is None) or (user is None and issuer is not None):
            raise MisuseError("revoke needs a user or a session, and an issuer only with a user")
        if session is not None:
            await self.log_out(session, reason=reason or "revoked")
        if user is None:
            return
        known = None
        if issuer in (None, self._issuer.issuer):
            known = await self._store.user(user) or await self._store.user_named(user)
        if known is None and issuer is not None:
            await self._revoke_sub(user, issuer, reason=reason or "revoked")
        else:
            await self._revoke_user(known.id if known is not None else user, reason=reason or "revoked")

    async def own_sessions(self, proof: Proof) -> Sequence[Session]:
        """One's own sessions that can be refreshed, newest first; people of an outside issuer have none here."""
        if not self._is_ours(proof):
            return []
        return await self._store.sessions(user_id=proof.user, active_at=self._clock.now())

    # Users

    async def add_user(self, name: str, password: str, roles: Iterable[str] = ()) -> User:
        """Add somebody who can sign in. Raises `BadInput` or `Conflict`."""
        user = await self._accounts.add(name, password, roles)
        logger.info("user added", user=user.id, roles=user.roles)
        return user

    async def change_password(self, proof: Proof, old: str, new: str, *, address: str | None = None) -> None:
        """Change one's own password, and end all other sessions of one's own.

        Raises:
            BadCredentials: the present password is not right.
            BadInput: the new one will not do; the text says why.
            Forbidden: an outside issuer has the password.
            Throttled: too many tries.
        """
        self._check_ours(proof)
        try:
            event = await self._accounts.change_password(
                proof.user, old, new, address=address, keep=proof.session
            )
        except (BadCredentials, Throttled) as error:
            await self._audit.password_refused(proof.user, proof.session, address, error)
            raise
        await self._revoked(event)

    async def set_password(self, user_id: str, new: str) -> None:
        """Set somebody's password and end all of their sessions. Raises `BadInput` or `NotFound`."""
        await self._revoked(await self._accounts.set_password(user_id, new))

    async def set_roles(self, user_id: str, roles: Iterable[str]) -> None:
        """Set somebody's roles, for tokens from now on. Raises `BadInput` or `NotFound`."""
        await self._store.set_roles(user_id, names.checked_roles(roles), now=self._clock.now())
        await self.log.catch_up()

    async def set_disabled(self, user_id: str, disabled: bool) -> None:
        """Disable somebody, which ends all of their sessions, or enable them again. Raises `NotFound`."""
        await self._store.set_disabled(user_id, disabled, now=self._clock.now())
        logger.info("user disabled" if disabled else "user enabled", user=user_id)
        await self.log.catch_up()

    # Tickets

    async def issue_ticket(self, proof: Proof, *, origin: str | None) -> tuple[str, float]:
        """A one-use ticket for a WebSocket's URL, and how many seconds it is good."""
        return await self._tickets.issue(proof, origin=origin)

    async def redeem_ticket(self, text: str, *, origin: str | None) -> Proof:
        """The proof that a ticket stands for.

        Raises:
            TokenExpired: it has run out, or the access token has that it was given for.
            TokenInvalid: unknown, used, or from another Origin.
            SessionEnded: it was revoked meanwhile.
        """
        proof = await self._tickets.redeem(text, origin=origin)
        self.check_revoked(proof)
        return proof

    # Inside

    async def _open(
        self, user: User, *, client: Client, address: str | None, user_agent: str | None
    ) -> Grant:
        now = self._clock.now()
        ends = now + self._policy.absolute_lifetime
        session = await self._store.open_session(
            Session(
                id=new_id(self._random),
                user_id=user.id,
                client=client,
                kid=self._refresh_tokens.kid,
                salt=self._random.token(SALT_BYTES),
                confirmed_at=now,
                issued_at=now,
                epoch=user.epoch,
                created_at=now,
                auth_time=now,
                idle_expires_at=min(now + self._policy.idle_lifetime, ends),
                absolute_expires_at=ends,
                last_seen_at=now,
                address=address,
                user_agent=names.device(user_agent),
            ),
            now=now,
        )
        self._audit.count("user.signed_in")
        logger.info("signed in", user=user.id, session=session.id, client=client, address=address)
        await self.log.catch_up()
        return self._grant(session, user, None)

    def _grant(self, session: Session, user: User, outcome: Outcome | None) -> Grant:
        """Sign, from values that are committed."""
        now = self._clock.now()
        expires_at = self._expires_at(session, now)
        if expires_at <= now:
            raise session_ended("too_old")
        return Grant(
            access_token=self._issuer.issue(session, user, now=now, expires_at=expires_at),
            refresh_token=self._refresh_tokens.derive(session),
            expires_in=expires_at - now,
            refresh_in=refresh_in(expires_at - now, lead=self._refresh_lead, jitter=self._random.unit()),
            session=session,
            user=replace(user, epoch=session.epoch),
            outcome=outcome,
        )

    def _expires_at(self, session: Session, now: float) -> float:
        """Whole seconds, as `exp` is, and never past the session's own end (RFC 10017)."""
        return min(math.floor(now) + self._policy.access_lifetime, math.floor(session.absolute_expires_at))

    async def _presented(self, token: str) -> tuple[Presented, Session]:
        """What a refresh token says, once its MAC and its session's salt have agreed to it."""
        presented = self._refresh_tokens.read(token)
        session = await self._store.session(presented.sid)
        if session is None:
            raise TokenInvalid(detail="its session is not known")
        if not self._refresh_tokens.matches(presented, session):
            raise TokenInvalid(detail="it was not derived from its session")
        return presented, session

    def _is_ours(self, proof: Proof) -> bool:
        """Whether `proof.user` is an id of ours; an outside issuer's `sub` may look like one and be somebody else."""
        return proof.issuer == self._issuer.issuer

    def _check_ours(self, proof: Proof) -> None:
        if not self._is_ours(proof):
            raise Forbidden(ELSEWHERE, detail="a token of an outside issuer")

    async def _revoke_sub(self, sub: str, issuer: str, *, reason: str) -> None:
        """There is no row of theirs to change: the event is all, and every process hears it."""
        facts = {"reason": reason, "keep": None, "epoch": None, "issuer": issuer}
        event = await self._store.record(
            AuditEvent(kind="user.revoked", at=self._clock.now(), user_id=sub, data=facts)
        )
        await self._revoked(event)

    async def _revoke_user(self, user_id: str, *, reason: str, keep: str | None = None) -> None:
        await self._revoked(
            await self._store.revoke_user(user_id, reason=reason, now=self._clock.now(), keep=keep)
        )

    async def _revoked(self, event: AuditEvent) -> None:
        """Count, log and spread a `user.revoked` that has been committed."""
        self._audit.count("user.revoked")
        facts = {key: event.data[key] for key in ("reason", "keep", "issuer") if event.data.get(key)}
        logger.info("all sessions of a user ended", user=event.user_id, **facts)
        await self.log.catch_up(event.id)


def _is_active(session: Session, now: float) -> bool:
    over = min(session.idle_expires_at, session.absolute_expires_at)
    return session.ended_at is None and now < over

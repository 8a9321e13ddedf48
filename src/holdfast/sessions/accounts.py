"""Users and their passwords: adding, changing, disabling, and telling who knows the password."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from holdfast.errors import BadCredentials, BadInput, Conflict, Forbidden, NotFound
from holdfast.ports import AuditEvent, Clock, Random, SessionStore, User
from holdfast.sessions import names
from holdfast.sessions.passwords import Passwords, check_new
from holdfast.sessions.throttle import Throttle


class Accounts:
    """The users of a store, with their passwords."""

    def __init__(
        self, *, store: SessionStore, passwords: Passwords, throttle: Throttle, clock: Clock, random: Random
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock
        self._random = random

    async def add(self, name: str, password: str, roles: Iterable[str]) -> User:
        """Add a user. Raises `BadInput`, or `Conflict` if the name is taken."""
        known = names.checked_name(name)
        held = names.checked_roles(roles)
        check_new(password, name=known)
        return await self._store.add_user(
            User(
                id=new_id(self._random),
                name=known,
                roles=held,
                password_hash=await self._passwords.hash(password),
                created_at=self._clock.now(),
            )
        )

    async def take_in(self, user_id: str, name: str, roles: Iterable[str]) -> User:
        """The row of somebody whose sign-in the app checks itself, made on first sight; roles follow the app's."""
        names.checked_id(user_id)
        known = names.checked_name(name)
        held = names.checked_roles(roles)
        user = await self._store.user(user_id)
        if user is None:
            new = User(id=user_id, name=known, roles=held, created_at=self._clock.now())
            try:
                return await self._store.add_user(new)
            except Conflict:  # the name is somebody else's, or this user has just signed in elsewhere
                user = await self._store.user(user_id)
                if user is None:
                    raise
        if user.roles != held:
            await self._store.set_roles(user_id, held, now=self._clock.now())
            user = replace(user, roles=held)
        return user

    async def prove(self, name: str, password: str, *, address: str | None) -> User:
        """The user whose name and password these are; a hash of old parameters is replaced on the way.

        Raises:
            BadCredentials: they do not belong together; says the same, as late, for a name that nobody has.
            Forbidden: they do, but the account is disabled.
            Throttled: too many tries.
        """
        known = names.known_form(name)
        user = await self._store.user_named(known) if known is not None else None

        async def familiar() -> bool:
            who = user.id if user is not None else ""
            return address is not None and await self._store.has_signed_in_from(who, address)

        async with self._throttle.attempt(account_key(name), address, familiar=familiar) as attempt:
            stored = user.password_hash if user is not None else None
            if not await self._passwords.verify(stored, password):
                attempt.failed()
            elif user is not None and not user.disabled:
                attempt.succeeded()
        if user is None or stored is None or attempt.outcome is False:
            raise BadCredentials(detail="wrong password" if user is not None else "no such user")
        if user.disabled:
            raise Forbidden("This account has been disabled. Please ask an administrator.", detail="disabled")
        return await self._rehashed(user, stored, password)

    async def change_password(
        self, user_id: str, old: str, new: str, *, address: str | None, keep: str | None = None
    ) -> AuditEvent:
        """Set a new password for somebody who knows the old one, and end every session of theirs but `keep`.

        Raises:
            BadCredentials: the old one is not right.
            BadInput: the new one will not do.
            Throttled: too many tries.
        """
        user = await self._store.user(user_id)
        stored = user.password_hash if user is not None else None
        if user is None or stored is None:
            raise BadInput("This account has no password here. Please change it where you sign in.")
        check_new(new, name=user.name)

        async def familiar() -> bool:
            return False

        async with self._throttle.attempt(f"id:{user_id}", address, familiar=familiar) as attempt:
            if not await self._passwords.verify(stored, old):
                attempt.failed()
        if attempt.outcome is False:
            raise BadCredentials("The present password is not right.", detail="wrong present password")
        if old == new:
            raise BadInput("The new password is the same as the present one. Please choose another one.")
        hashed = await self._passwords.hash(new)
        return await self._store.set_password(user_id, hashed, now=self._clock.now(), keep=keep)

    async def set_password(self, user_id: str, new: str) -> AuditEvent:
        """Set a password without asking for the old one, and end every session. Raises `BadInput` or `NotFound`."""
        user = await self._store.user(user_id)
        if user is None:
            raise NotFound("There is no such user.")
        check_new(new, name=user.name)
        hashed = await self._passwords.hash(new)
        return await self._store.set_password(user_id, hashed, now=self._clock.now())

    async def still_knows(self, user: User, password: str) -> bool:
        """Whether what `prove` found is still so: nobody has changed the password or disabled the user meanwhile."""
        now = await self._store.user(user.id)
        if now is None or now.disabled:
            return False
        if now.password_hash == user.password_hash:
            return True
        # Perhaps another sign-in has hashed the same password anew.
        return await self._passwords.verify(now.password_hash, password)

    async def _rehashed(self, user: User, stored: str, password: str) -> User:
        if not self._passwords.needs_rehash(stored):
            return user
        anew = await self._passwords.hash(password)
        await self._store.rehash_password(user.id, anew, instead_of=stored)
        return replace(user, password_hash=anew)


def account_key(name: str) -> str:
    """What tries at a name are counted under; ids, which are counted too, are never taken for one."""
    return f"name:{names.known_form(name) or name}"


def new_id(random: Random) -> str:
    """An id for a user or session: 122 random bits, in the form of a UUID."""
    return UUID(bytes=random.token(16), version=4).hex

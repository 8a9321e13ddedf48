"""The first administrator: made when there is none, by exactly one of the processes that start together."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.errors import BadInput, ConfigurationError, Conflict
from holdfast.logs import get_logger

if TYPE_CHECKING:
    from holdfast.hold import Holdfast

ADMIN = "admin"
"""The role that opens /admin."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without letters that are taken for one another; 20 of these are 100 bits."""

log = get_logger("holdfast.server")


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """Who was made administrator just now; the password only if it was made here."""

    name: str
    password: str | None = field(repr=False)


async def ensure_admin(hold: Holdfast) -> FirstAdmin | None:
    """Make the administrator that the settings name, unless somebody has that role already; `None` if so.

    Raises:
        ConfigurationError: the name or password of the settings cannot be one.
    """
    if any(ADMIN in user.roles for user in await hold.store.users()):
        return None
    name = hold.settings.admin_username
    given = hold.settings.admin_password
    password = given.get_secret_value() if given is not None else new_password()
    try:
        user = await hold.sessions.add_user(name, password, (ADMIN,))
    except Conflict:
        taken = await hold.store.user_named(name)
        if taken is not None and ADMIN not in taken.roles:
            log.warning("nobody is administrator", hint="a user without the role has HOLDFAST_ADMIN_USERNAME")
        return None
    except BadInput as error:
        raise ConfigurationError(f"HOLDFAST_ADMIN_USERNAME and HOLDFAST_ADMIN_PASSWORD: {error}") from None
    return FirstAdmin(user.name, None if given is not None else password)


def new_password() -> str:
    """A password that nobody guesses and everybody can type."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))

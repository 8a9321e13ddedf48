"""What users, roles and devices may be called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from holdfast.errors import BadInput

MAX_NAME = 64
MAX_ID = 128
MAX_ROLES = 32
MAX_USER_AGENT = 256

_NAME = re.compile(rf"[\w.@+-]{{1,{MAX_NAME}}}")
_ROLE = re.compile(r"[\w.:-]{1,64}")


def known_form(text: str) -> str | None:
    """The one spelling of a name (NFC, since keyboards differ), or `None` if nobody can be called that."""
    if len(text) > 4 * MAX_NAME:
        return None
    composed = unicodedata.normalize("NFC", text)
    return composed if _NAME.fullmatch(composed) else None


def checked_name(text: str) -> str:
    """A name for a new user.

    Raises:
        BadInput: saying what a name is made of.
    """
    name = known_form(text)
    if name is None:
        raise BadInput(
            f"A user name has 1 to {MAX_NAME} letters, digits and . _ @ + - in it, and nothing else."
        )
    return name


def checked_id(text: str) -> str:
    """The id that an app gives to a user of its own.

    Raises:
        BadInput: it is empty, too long, or not printable.
    """
    if not 0 < len(text) <= MAX_ID or not text.isprintable():
        raise BadInput(f"A user id has 1 to {MAX_ID} printable characters.")
    return text


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles, each once, in the order given.

    Raises:
        BadInput: one of them cannot be a role, or there are too many.
    """
    found = tuple(dict.fromkeys(roles))
    if isinstance(roles, str) or len(found) > MAX_ROLES or not all(_ROLE.fullmatch(role) for role in found):
        raise BadInput(f"Roles are a list of up to {MAX_ROLES}, each of 1 to 64 letters, digits and . _ : -")
    return found


def device(user_agent: str | None) -> str | None:
    """A User-Agent as it is kept: cut, and without what a terminal or a log would act on."""
    if user_agent is None:
        return None
    return "".join(character for character in user_agent[:MAX_USER_AGENT] if character.isprintable()) or None

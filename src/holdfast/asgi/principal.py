"""Who is at the other end, as an app is told."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.core.connection import Proof


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is there: what the newest proof says."""

    id: str
    name: str
    roles: tuple[str, ...]
    session: str | None
    issuer: str
    client: str | None = None
    """What signed in: `browser`, `program`, or what an outside issuer calls it."""

    @classmethod
    def of(cls, proof: Proof) -> Principal:
        """The principal of a proof."""
        return cls(proof.user, proof.name, proof.roles, proof.session, proof.issuer, proof.client)

    def has_role(self, role: str) -> bool:
        """Whether the newest token names this role."""
        return role in self.roles

"""What signs and what verifies, now and around a rotation.

    published ----- signs_from ----- a newer key signs ----- retires_at ----- forget_at
              waits           signs                 still verifies      only tells "expired"

No job moves a key along: its state follows from its times and `now`. A new key is published at once and signs only when
everybody who caches the JWKS has seen it; the old one verifies until the last token that it signed has expired.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from holdfast.core.policy import SessionPolicy
from holdfast.errors import ConfigurationError
from holdfast.settings import Settings
from holdfast.tokens import algorithms
from holdfast.tokens.algorithms import HMAC, MAKE_ONE, Material
from holdfast.tokens.keyfile import KeyFile, KeyRecord, Records, Stamp

JWKS_CACHE_SECONDS = 300.0
"""How long others may keep the JWKS, and so how long a new key waits before it signs."""

RELOAD_SECONDS = 5.0
"""How soon a running process notices keys that another one has changed."""

MASTER_LABEL = b"holdfast refresh token v1"

_log = logging.getLogger(__name__)


class KeyState(StrEnum):
    """Where in its life a key is."""

    PUBLISHED = "published"
    """Others can see it already; it does not sign yet."""
    SIGNING = "signing"
    RETIRING = "retiring"
    """A newer key signs; tokens of this one are still good."""
    RETIRED = "retired"
    """All of its tokens have expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key with the times that say what it may do."""

    material: Material
    created_at: float | None = None
    signs_from: float = -math.inf
    retires_at: float = math.inf

    @property
    def kid(self) -> str:
        return self.material.kid

    @property
    def algorithm(self) -> str:
        return self.material.algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A key as operators see it; times are `None` where there is no such time."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: float | None
    signs_from: float | None
    retires_at: float | None


@dataclass(frozen=True, slots=True)
class _Master:
    key: bytes = field(repr=False)
    forget_at: float


@dataclass(frozen=True, slots=True)
class _Keys:
    """Everything at one moment, swapped as a whole, so that no reader sees half of a rotation."""

    signers: tuple[Key, ...]
    """In the order of their making."""
    by_kid: dict[str, Key]
    masters: dict[str, _Master]
    """By kid, in the order of their making: the last one derives new refresh tokens."""

    @classmethod
    def of(cls, signers: Iterable[Key], secrets: Iterable[tuple[Material, float]]) -> _Keys:
        keys = tuple(signers)
        masters = {
            secret.kid: _Master(algorithms.derive(secret.private, MASTER_LABEL), forget_at)
            for secret, forget_at in secrets
        }
        return cls(keys, {key.kid: key for key in keys}, masters)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the keys of a ring are kept, and what the environment gives beside or instead of them."""

    file: KeyFile
    algorithm: str
    secret: Material | None
    previous: tuple[Material, ...]

    def load(self, now: float, *, create: bool) -> tuple[_Keys, Stamp | None]:
        records, stamp = self.file.read()
        missing = self._missing(records)
        if missing and not create:
            raise ConfigurationError(self._nothing(missing[0]))
        if missing:
            # Looked at again under the lock: of two processes that start at once, the second finds the first one's.
            records, stamp = self.file.update(
                lambda present: present + tuple(_new(name, now, now) for name in self._missing(present))
            )
        return self._keys(records), stamp

    def reload(self) -> tuple[_Keys, Stamp | None]:
        records, stamp = self.file.read()
        missing = self._missing(records)
        if missing:
            raise ConfigurationError(self._nothing(missing[0]))
        return self._keys(records), stamp

    def rotate(
        self, now: float, *, signs_from: float, retires_at: float, forget_at: float
    ) -> tuple[_Keys, Stamp | None]:
        def change(present: Records) -> Records:
            kept = (record for record in present if record.forget_at is None or now < record.forget_at)
            old = (
                replace(
                    record,
                    retires_at=_sooner(record.retires_at, retires_at),
                    forget_at=_sooner(record.forget_at, forget_at),
                )
                if record.algorithm in self._kept_here
                else record
                for record in kept
            )
            return (*old, *(_new(name, now, signs_from) for name in self._kept_here))

        records, stamp = self.file.update(change)
        return self._keys(records), stamp

    @property
    def _kept_here(self) -> tuple[str, ...]:
        """A secret, unless one is given (master keys are made from it), and the pairs of an asymmetric algorithm."""
        secret = () if self.secret is not None else (HMAC,)
        return secret if self.algorithm == HMAC else (*secret, self.algorithm)

    def _missing(self, records: Records) -> tuple[str, ...]:
        present = {record.algorithm for record in records if record.retires_at is None}
        return tuple(name for name in self._kept_here if name not in present)

    def _nothing(self, algorithm: str) -> str:
        if algorithm == HMAC:
            return (
                f"SECRET_KEY is not set and {self.file.path} holds no secret: set SECRET_KEY, or run `holdfast serve`, "
                f"which makes and keeps one; {MAKE_ONE}"
            )
        return f"{self.file.path} holds no key for {algorithm}: make one with `holdfast keys rotate`"

    def _keys(self, records: Records) -> _Keys:
        made = [(record, self._material(record)) for record in records if record.algorithm in self._kept_here]
        signers = [_key(record, material) for record, material in made if record.algorithm == self.algorithm]
        if self.algorithm == HMAC:
            signers[:0] = _only_accepted(self.previous)
        secrets = [(material, math.inf) for material in self.previous]
        if self.secret is not None:
            secrets.append((self.secret, math.inf))
        secrets += [
            (material, _or_never(record.forget_at)) for record, material in made if record.algorithm == HMAC
        ]
        return _Keys.of(signers, secrets)

    def _material(self, record: KeyRecord) -> Material:
        if record.algorithm == HMAC:
            return algorithms.from_secret(record.text)
        try:
            return algorithms.from_pem(record.algorithm, record.text)
        except ValueError as error:
            raise ConfigurationError(f"a key in {self.file.path} cannot be used: {error}") from None


class KeyRing:
    """The keys of one issuer: all of one algorithm, and master keys for refresh tokens from its secrets.

    Make one with `load`, `from_secret` or `from_directory`.
    """

    def __init__(
        self,
        algorithm: str,
        keys: _Keys,
        *,
        now: float = -math.inf,
        source: _Source | None = None,
        stamp: Stamp | None = None,
    ) -> None:
        self.algorithm = algorithm
        self._present = keys
        self._source = source
        self._stamp = stamp
        self._looked_at = now
        self._last_now = now

    @classmethod
    def from_secret(cls, secret: str | bytes, *, previous: Sequence[str | bytes] = ()) -> KeyRing:
        """HS256 with a secret that somebody else keeps; `previous` ones are accepted, never used for new tokens.

        Raises:
            ConfigurationError: one of them is shorter than 32 bytes or is a key of another kind.
        """
        present = algorithms.from_secret(secret)
        older = _previous(previous, present)
        signers = (*_only_accepted(older), Key(material=present))
        return cls(HMAC, _Keys.of(signers, ((material, math.inf) for material in (*older, present))))

    @classmethod
    def from_directory(
        cls,
        directory: Path,
        *,
        now: float,
        algorithm: str = HMAC,
        create: bool = True,
        secret: str | bytes | None = None,
        previous: Sequence[str | bytes] = (),
    ) -> KeyRing:
        """Keys of a data directory, made on first use if `create`; several processes may start at once.

        A `secret` that is given stands for the one in the directory, for refresh tokens too; `previous` ones are
        accepted either way.

        Raises:
            ConfigurationError: there are none and `create` is false, or they cannot be read or kept.
        """
        if algorithm not in algorithms.SUPPORTED:
            raise ConfigurationError(
                f"ALGORITHM {algorithm!r} is not one of {', '.join(algorithms.SUPPORTED)}"
            )
        if secret is not None and algorithm == HMAC:
            return cls.from_secret(secret, previous=previous)
        present = algorithms.from_secret(secret) if secret is not None else None
        source = _Source(KeyFile(directory), algorithm, present, _previous(previous, present))
        keys, stamp = source.load(now, create=create)
        return cls(algorithm, keys, now=now, source=source, stamp=stamp)

    @classmethod
    def load(cls, settings: Settings, now: float, *, create: bool = False) -> KeyRing:
        """The keys that the settings ask for: `SECRET_KEY` if there is one, else the data directory.

        Raises:
            ConfigurationError: as `from_secret` and `from_directory`.
        """
        secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
        previous = [key.get_secret_value() for key in settings.previous_secret_keys]
        return cls.from_directory(
            settings.data_dir,
            now=now,
            algorithm=settings.algorithm,
            create=create,
            secret=secret,
            previous=previous,
        )

    def signing(self, now: float) -> Key:
        """The key for new tokens: the newest that may sign."""
        return _signing(self._fresh(now).signers, now)

    def verifying(self, kid: str, now: float) -> Key | None:
        """The key by that name, retired ones too; a name not known here is looked for in the file before giving up."""
        key = self._fresh(now).by_kid.get(kid)
        return self._reload().by_kid.get(kid) if key is None else key

    @property
    def master_kid(self) -> str:
        """The newest master key, for new refresh tokens."""
        return next(reversed(self._present.masters))

    def master(self, kid: str) -> bytes | None:
        """The master key by that name, if any session can still depend on it."""
        master = self._present.masters.get(kid) or self._reload().masters.get(kid)
        # No `now` comes with a refresh token; the last time that a token was signed or checked at is near enough.
        return master.key if master is not None and self._last_now < master.forget_at else None

    def jwks(self, now: float) -> dict[str, list[dict[str, str]]]:
        """The public keys that tokens may be checked with (RFC 7517); empty for HS256."""
        live = (key for key in self._fresh(now).signers if now < key.retires_at)
        return {"keys": [jwk for key in live if (jwk := key.material.public_jwk()) is not None]}

    def keys(self, now: float) -> list[KeyRow]:
        """Every key and its state, oldest first."""
        signers = self._fresh(now).signers
        return [
            KeyRow(
                kid=key.kid,
                algorithm=key.algorithm,
                state=_state(key, signers, now),
                created_at=key.created_at,
                signs_from=key.signs_from if math.isfinite(key.signs_from) else None,
                retires_at=key.retires_at if math.isfinite(key.retires_at) else None,
            )
            for key in signers
        ]

    def rotate(
        self,
        now: float,
        *,
        token_lifetime: float,
        cache_seconds: float = JWKS_CACHE_SECONDS,
        session_lifetime: float = SessionPolicy().absolute_lifetime,
    ) -> KeyRow:
        """Put a new key beside the present one; everything that is signed already stays good to its end.

        After a leak give zeros: the old keys are then worth nothing as soon as every process has noticed, which takes
        `RELOAD_SECONDS` at most. New refresh tokens come from the new key at once; those of an old one are good for
        `session_lifetime` more.

        Raises:
            ConfigurationError: the keys are given by the environment, which is then the place to change them.
        """
        if self._source is None:
            raise ConfigurationError(
                "SECRET_KEY comes from the environment: put the present one into HOLDFAST_PREVIOUS_SECRET_KEYS "
                f"and a new one into SECRET_KEY; {MAKE_ONE}"
            )
        signs_from = now + cache_seconds
        last_signed = max(signs_from, now + RELOAD_SECONDS)
        self._present, self._stamp = self._source.rotate(
            now,
            signs_from=signs_from,
            retires_at=last_signed + token_lifetime,
            forget_at=max(last_signed + token_lifetime, now + RELOAD_SECONDS + session_lifetime),
        )
        self._looked_at = self._last_now = now
        return self.keys(now)[-1]

    def _fresh(self, now: float) -> _Keys:
        self._last_now = now
        if self._source is not None and abs(now - self._looked_at) >= RELOAD_SECONDS:
            self._looked_at = now
            return self._reload()
        return self._present

    def _reload(self) -> _Keys:
        """Read the file again if it has changed; a file that cannot be read leaves everything as it is."""
        if self._source is None:
            return self._present
        stamp = self._source.file.stamp()
        if stamp is not None and stamp != self._stamp:
            self._stamp = stamp
            try:
                self._present, self._stamp = self._source.reload()
            except ConfigurationError as error:
                _log.warning("keys.reload_failed: %s; going on with the keys at hand", error)
        return self._present


def _signing(signers: Sequence[Key], now: float) -> Key:
    # The last in line rather than the latest `signs_from`: a rotation after a leak overtakes one that still waits.
    ready = next((key for key in reversed(signers) if key.signs_from <= now), None)
    # None is ready only for a clock that stands before the very first key was made.
    return ready or min(signers, key=lambda key: key.signs_from)


def _state(key: Key, signers: Sequence[Key], now: float) -> KeyState:
    if now >= key.retires_at:
        return KeyState.RETIRED
    signing = _signing(signers, now)
    if key is signing:
        return KeyState.SIGNING
    return KeyState.PUBLISHED if signers.index(key) > signers.index(signing) else KeyState.RETIRING


def _previous(secrets: Sequence[str | bytes], present: Material | None) -> tuple[Material, ...]:
    materials = {material.kid: material for material in map(algorithms.from_secret, secrets)}
    if present is not None:
        materials.pop(present.kid, None)
    return tuple(materials.values())


def _only_accepted(previous: Iterable[Material]) -> list[Key]:
    """Keys that verify for as long as the operator names them, and never sign."""
    return [Key(material=material, signs_from=math.inf) for material in previous]


def _new(algorithm: str, now: float, signs_from: float) -> KeyRecord:
    text = algorithms.generate(algorithm)
    return KeyRecord(algorithm=algorithm, text=text, created_at=now, signs_from=signs_from)


def _key(record: KeyRecord, material: Material) -> Key:
    return Key(
        material=material,
        created_at=record.created_at,
        signs_from=record.signs_from,
        retires_at=_or_never(record.retires_at),
    )


def _or_never(time: float | None) -> float:
    return math.inf if time is None else time


def _sooner(time: float | None, other: float) -> float:
    return other if time is None else min(time, other)

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdfast.core.connection import Proof
from holdfast.errors import TokenExpired, TokenInvalid
from holdfast.sessions.tickets import Tickets

ORIGIN = "https://app.example.com"


@pytest.fixture
def tickets(world) -> Tickets:
    return Tickets(store=world.store, clock=world.clock, random=world.random)


@pytest.fixture
def proof(clock) -> Proof:
    return Proof(
        user="u1", name="ann", issuer="holdfast", expires_at=clock.now() + 60, session="s1", roles=("a",)
    )


async def test_a_ticket_gives_back_the_proof_once(tickets: Tickets, proof: Proof) -> None:
    text, seconds = await tickets.issue(proof, origin=ORIGIN)
    assert seconds == 30
    assert await tickets.redeem(text, origin=ORIGIN) == proof
    with pytest.raises(TokenInvalid):
        await tickets.redeem(text, origin=ORIGIN)


async def test_of_many_who_come_at_once_one_gets_in(tickets: Tickets, proof: Proof) -> None:
    text, _ = await tickets.issue(proof, origin=None)
    outcomes = await asyncio.gather(
        *(tickets.redeem(text, origin=None) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Proof) for outcome in outcomes) == 1


@pytest.mark.parametrize(("seconds", "good"), [(29, True), (30, False), (31, False)])
async def test_a_ticket_is_good_for_30_seconds(tickets, proof, clock, seconds: int, good: bool) -> None:
    text, _ = await tickets.issue(proof, origin=None)
    clock.set(clock.now() + seconds)
    if good:
        await tickets.redeem(text, origin=None)
    else:
        with pytest.raises(TokenExpired):
            await tickets.redeem(text, origin=None)
        with pytest.raises(TokenInvalid):
            await tickets.redeem(text, origin=None)


async def test_from_another_origin_nobody_learns_that_a_ticket_has_run_out(tickets, proof, clock) -> None:
    text, _ = await tickets.issue(proof, origin=ORIGIN)
    clock.set(clock.now() + 30)
    with pytest.raises(TokenInvalid):
        await tickets.redeem(text, origin="https://evil.example")


async def test_a_ticket_never_outlives_its_token(tickets: Tickets, proof: Proof, clock) -> None:
    text, seconds = await tickets.issue(replace(proof, expires_at=clock.now() + 5), origin=None)
    assert seconds == 5
    clock.set(clock.now() + 5)
    with pytest.raises(TokenExpired):
        await tickets.redeem(text, origin=None)


@pytest.mark.parametrize(
    ("given", "comes"), [(ORIGIN, "https://evil.example"), (ORIGIN, None), (None, ORIGIN)]
)
async def test_a_ticket_from_another_origin_is_refused_and_spent(
    tickets: Tickets, proof: Proof, given: str | None, comes: str | None
) -> None:
    text, _ = await tickets.issue(proof, origin=given)
    with pytest.raises(TokenInvalid):
        await tickets.redeem(text, origin=comes)
    with pytest.raises(TokenInvalid):
        await tickets.redeem(text, origin=given)


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "ж" * 43, "x" * 100_000, "\0" * 43])
async def test_made_up_tickets_are_refused(tickets: Tickets, text: str) -> None:
    with pytest.raises(TokenInvalid):
        await tickets.redeem(text, origin=None)


async def test_tickets_differ_and_are_long_enough_not_to_be_guessed(tickets: Tickets, proof: Proof) -> None:
    texts = {(await tickets.issue(proof, origin=None))[0] for _ in range(20)}
    assert len(texts) == 20
    assert all(len(text) == 43 for text in texts)

"""The Python client: sessions that refresh themselves, connections that hold. For scripts and services.

    async with Session("https://app.example") as session:
        await session.sign_in("ann", password)
        async with session.connect("/ws") as live:
            await live.send({"hello": 1})
            async with live.subscribe("job:42") as job:
                async for event in job:
                    print(event.data)

Needs `pip install holdfast[client]`.
"""

from __future__ import annotations

from holdfast.client.clock import Clocks as Clocks
from holdfast.client.connection import LiveConnection as LiveConnection
from holdfast.client.errors import ClientError as ClientError
from holdfast.client.errors import RequestError as RequestError
from holdfast.client.keeper import Person as Person
from holdfast.client.live import LiveState as LiveState
from holdfast.client.live_effects import LiveNews as LiveNews
from holdfast.client.machine import News as News
from holdfast.client.machine import State as State
from holdfast.client.session import Session as Session
from holdfast.client.subscriptions import History as History
from holdfast.client.subscriptions import Subscribed as Subscribed
from holdfast.client.subscriptions import Subscription as Subscription
from holdfast.client.subscriptions import SubscriptionState as SubscriptionState
from holdfast.client.wire import Event as Event
from holdfast.protocol.frames import Member as Member
from holdfast.protocol.frames import Position as Position

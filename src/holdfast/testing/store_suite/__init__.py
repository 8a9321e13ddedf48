"""What every `ports.SessionStore` promises, as tests for yours.

Derive a class in your own tests and give it a `store`:

    class TestMyStore(StoreSuite):
        @pytest.fixture
        async def store(self):
            store = MyStore()
            await store.start()
            yield store
            await store.aclose()

The tests are coroutines. With pytest-asyncio in auto mode nothing else is needed; in strict mode mark the class with
`@pytest.mark.asyncio` and the fixture with `@pytest_asyncio.fixture`; with anyio's plugin mark the class with
`@pytest.mark.anyio`. Each test needs an empty store.
"""

from holdfast.ports import SessionStore
from holdfast.testing.store_suite.log import Log, Sweeping, Tickets
from holdfast.testing.store_suite.revocation import Revocation
from holdfast.testing.store_suite.rotation import Rotation
from holdfast.testing.store_suite.sessions import Confirmation, Sessions
from holdfast.testing.store_suite.users import Users


class StoreSuite(Users, Sessions, Confirmation, Rotation, Revocation, Tickets, Log, Sweeping):
    """Every promise of `ports.SessionStore`."""

    async def test_a_store_that_was_started_answers(self, store: SessionStore) -> None:
        await store.ping()

"""What every `ports.Broker` promises, as tests for yours.

Derive a class in your own tests and give it `brokers`, two nodes' access to one and the same empty broker, not started:

    class TestMyBroker(BrokerSuite):
        @pytest.fixture
        async def brokers(self):
            pair = MyBroker(url), MyBroker(url)
            yield pair
            for broker in pair:
                await broker.aclose()

The tests are coroutines; for their plugins see `testing.store_suite`. A broker may tell its listeners a little later:
the tests wait for what must come; for what must not, until something else has come after it.
"""

from holdfast.ports import Broker
from holdfast.testing.broker_suite.nodes import started
from holdfast.testing.broker_suite.presence import Leases, Presence
from holdfast.testing.broker_suite.publications import Keys, Publications
from holdfast.testing.broker_suite.recovery import Reading, Recovery


class BrokerSuite(Publications, Keys, Reading, Recovery, Presence, Leases):
    """Every promise of `ports.Broker`."""

    async def test_a_broker_that_was_started_answers(self, brokers: tuple[Broker, Broker]) -> None:
        for node in await started(brokers):
            await node.broker.ping()

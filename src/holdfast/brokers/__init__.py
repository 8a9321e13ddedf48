"""Brokers: what carries publications between nodes and keeps their history. Each is one `ports.Broker`."""

from holdfast.brokers.memory import Memory as Memory
from holdfast.brokers.memory import MemoryBroker as MemoryBroker

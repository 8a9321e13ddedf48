"""Stores: where users, sessions, tickets and the log of events are kept. Each is one `ports.SessionStore`."""

from holdfast.stores.sql import SqlStore as SqlStore

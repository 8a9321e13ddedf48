"""Holdfast on ASGI: what turns scopes, sockets and timers into events of the core, and its effects into frames."""

"""The server that is ready at once: the library, an admin API, health, metrics and a first administrator."""

"""Sessions from sign-in to their end: passwords, throttling, refresh, revocation and the log that tells everybody."""

"""The words that travel: frames, how they are written, and how a connection ends."""

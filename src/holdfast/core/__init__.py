"""The pure heart: state machines that take events and `now`, and return effects. Nothing here waits, reads a clock or
draws a random number."""

"""For tests of apps that use Holdfast, and for tests of new stores: a clock, a peer, a server, the store suite."""

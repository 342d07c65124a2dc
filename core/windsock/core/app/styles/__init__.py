"""The ways to write a handler, each turned into the one that the session runs."""

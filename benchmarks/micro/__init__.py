"""Microbenchmarks of the core, without any socket."""

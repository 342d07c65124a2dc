"""Which handler a request belongs to: patterns, placeholder types, and the table of routes."""

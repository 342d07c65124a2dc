"""The protocol layer: bytes and time in, events and bytes out. It imports nothing from `app`."""

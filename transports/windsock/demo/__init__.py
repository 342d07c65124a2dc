"""A small chat room, with its page: `windsock demo` serves it.

windsock serve windsock.demo:app --transport trio
"""

from .chat import make_app

__all__ = ["app", "make_app"]

app = make_app()
"""The chat, with rooms of its own."""

"""The chat's page: one file, with everything it needs inside."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from windsock.core import Response


def load_page() -> Response:
    """The page, as a response that lets it run its own script and talk to its own server only."""
    html = files("windsock.demo").joinpath("chat.html").read_text(encoding="utf-8")
    policy = [
        "default-src 'none'",
        f"script-src {_hashes('script', html)}",
        f"style-src {_hashes('style', html)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(html, headers=headers)


def _hashes(element: str, html: str) -> str:
    """Content-Security-Policy's way to name inline content that is meant to be there."""
    found = re.findall(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found]
    return " ".join(f"'sha256-{digest}'" for digest in digests)

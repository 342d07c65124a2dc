"""A certificate for 127.0.0.1 that lives as long as a run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def can_make() -> bool:
    """Whether trustme is installed."""
    return find_spec("trustme") is not None


def write_certificate(certificate: Path, key: Path) -> None:
    """Write the chain and its private key in PEM, if trustme is there to make them."""
    if not can_make():
        return
    import trustme

    leaf = trustme.CA().issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(key)
    for index, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(certificate, append=index > 0)

"""A certificate authority for the tests, and what it signed for this machine."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import trustme


@functools.cache
def authority() -> trustme.CA:
    """The authority that clients in the tests trust."""
    return trustme.CA()


@functools.cache
def leaf() -> trustme.LeafCert:
    """The certificate of this machine's loopback addresses."""
    return authority().issue_cert("localhost", "127.0.0.1", "::1")


def server_context(cert: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """For servers: shows `cert`, by default the right one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (cert or leaf()).configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """For clients: trusts the tests' authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


def write_leaf(path: Path) -> None:
    """Key and certificate in one PEM file, for servers that want a file."""
    leaf().private_key_and_cert_chain_pem.write_to_path(path)


def write_authority(path: Path) -> None:
    """The authority's certificate in a PEM file."""
    authority().cert_pem.write_to_path(path)

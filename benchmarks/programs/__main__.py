"""Serve one program of the list until terminated: `python -m benchmarks.programs NAME --port P`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.servers import SERVERS

from .options import Options


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.programs", description=__doc__)
    parser.add_argument("name", choices=sorted(SERVERS), metavar="NAME")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--fanout", action="store_true", help="send every message to everybody")
    parser.add_argument("--deflate", action="store_true", help="take permessage-deflate")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="serve TLS")
    parser.add_argument("--key", type=Path, metavar="PEM", help="the certificate's private key")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    server = SERVERS[arguments.name]
    serve = server.load()
    serve(
        Options(
            port=arguments.port,
            variant=server.variant,
            fanout=arguments.fanout,
            deflate=arguments.deflate,
            certificate=arguments.certificate,
            key=arguments.key,
        )
    )


if __name__ == "__main__":
    main()

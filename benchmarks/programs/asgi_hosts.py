"""ASGI servers, each with any of the applications. A variant is `application/host`."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import trio

from .asgi_apps import AsgiApp, make
from .options import HOST, MAX_MESSAGE, Options


def serve_uvicorn(options: Options) -> None:
    """uvicorn on asyncio's own event loop; the host is the name of its WebSocket backend."""
    import uvicorn

    name, backend = options.variant.split("/")
    uvicorn.run(
        cast("Any", make(name, options)),
        host=HOST,
        port=options.port,
        loop="asyncio",
        ws=cast("Any", backend),
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=options.deflate,
        log_level="warning",
        access_log=False,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )


def serve_hypercorn(options: Options) -> None:
    """hypercorn in this process; the host is asyncio or trio."""
    from hypercorn.config import Config

    name, worker = options.variant.split("/")
    settings = Config()
    settings.bind = [f"{HOST}:{options.port}"]
    settings.loglevel = "WARNING"
    settings.websocket_max_message_size = MAX_MESSAGE
    settings.graceful_timeout = 1
    if options.certificate is not None:
        settings.certfile, settings.keyfile = str(options.certificate), str(options.key)
    app = make(name, options)
    serve: Any = import_module(f"hypercorn.{worker}").serve
    if worker == "trio":
        trio.run(partial(serve, app, settings))
    else:
        asyncio.run(serve(app, settings))


def serve_granian(options: Options) -> None:
    """granian with one worker on asyncio's own event loop."""
    granian: Any = import_module("granian")
    constants: Any = import_module("granian.constants")
    name, _ = options.variant.split("/")
    os.environ["BENCHMARK_FANOUT"] = "1" if options.fanout else ""
    os.environ["BENCHMARK_APPLICATION"] = name
    granian.Granian(
        f"{__name__}:granian_application",
        address=HOST,
        port=options.port,
        interface=constants.Interfaces.ASGI,
        loop=constants.Loops.asyncio,
        http=constants.HTTPModes.http1,
        log_enabled=False,
        ssl_cert=options.certificate,
        ssl_key=options.key,
        factory=True,
        working_dir=Path(__file__).parents[2],
    ).serve()


def granian_application() -> AsgiApp:
    """What granian's worker process serves: it imports this anew."""
    fanout = bool(os.environ["BENCHMARK_FANOUT"])
    return make(os.environ["BENCHMARK_APPLICATION"], Options(port=0, fanout=fanout))

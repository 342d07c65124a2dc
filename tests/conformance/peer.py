"""What is tested: echo servers, and clients that echo what the suite sends them.

    python -m tests.conformance.peer server trio-server 9001
    python -m tests.conformance.peer client trio-client ws://127.0.0.1:9001

Only what a target needs is imported.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from windsock.core import App, Config, Deflate, WebSocket, WindsockError

HOST: Final = "127.0.0.1"
LARGEST: Final = 32 * 1024 * 1024
HOUR: Final = 3600.0

CONFIG: Final = Config(
    # 9.* sends 16 MiB in one message, and 4 MiB in fragments of 64 bytes. The defaults are lower.
    max_message_size=LARGEST,
    max_fragments=2**18,
    origins=("*",),
    # The suite chooses the windows: 13.4 and 13.6 want the largest.
    compression=Deflate(server_max_window_bits=15, client_max_window_bits=15),
    # The suite may be silent or slow for minutes, and does not expect to be sent a Ping.
    ping_interval=HOUR,
    write_timeout=HOUR,
    message_timeout=HOUR,
)

app = App()


@app.websocket("/")
async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send(message)


# -- servers -----------------------------------------------------------------------------------


def trio_server(port: int) -> None:
    from functools import partial

    import trio

    import windsock.trio

    trio.run(partial(windsock.trio.serve, app, HOST, port, config=CONFIG))


def asyncio_server(port: int) -> None:
    import windsock.asyncio

    async def main() -> None:
        async with windsock.asyncio.serve(app, HOST, port, config=CONFIG) as server:
            await server.serve_forever()

    asyncio.run(main())


def twisted_server(port: int) -> None:
    import windsock.twisted

    windsock.twisted.run(app, host=HOST, port=port, config=CONFIG, started=lambda urls: None)


def threads_server(port: int) -> None:
    import windsock.threads

    with windsock.threads.serve(app, HOST, port, config=CONFIG) as server:
        server.serve_forever()


def asgi_uvicorn(port: int) -> None:
    import uvicorn

    import windsock.asgi

    uvicorn.run(
        windsock.asgi.ASGI(app, config=CONFIG),
        host=HOST,
        port=port,
        ws="wsproto",  # windsock needs it anyway; uvicorn's other engines have faults of their own
        ws_max_size=LARGEST,
        ws_ping_interval=None,
        lifespan="off",
        log_level="warning",
    )


def asgi_hypercorn(port: int) -> None:
    from functools import partial

    import hypercorn
    import hypercorn.trio
    import trio

    import windsock.asgi

    config = hypercorn.Config()
    config.bind = [f"{HOST}:{port}"]
    config.websocket_max_message_size = LARGEST
    asgi_app: Any = windsock.asgi.ASGI(app, config=CONFIG)
    # hypercorn does not say what its `mode` argument may be.
    trio.run(
        partial(hypercorn.trio.serve, asgi_app, config)  # pyright: ignore[reportUnknownMemberType]
    )


# -- clients -----------------------------------------------------------------------------------


def trio_client(url: str) -> None:
    import trio

    import windsock.trio

    trio.run(run_cases, windsock.trio.connect, url, "trio-client")


def asyncio_client(url: str) -> None:
    import windsock.asyncio

    asyncio.run(run_cases(windsock.asyncio.connect, url, "asyncio-client"))


def twisted_client(url: str) -> None:
    from twisted.internet.defer import ensureDeferred
    from twisted.internet.task import react

    import windsock.twisted

    def main(reactor: object) -> Any:
        return ensureDeferred(run_cases(windsock.twisted.connect, url, "twisted-client"))

    react(main)


async def run_cases(connect: Callable[..., Any], url: str, agent: str) -> None:
    """Ask how many cases there are, and be the client of each."""
    async with connect(f"{url}/getCaseCount", config=CONFIG) as ws:
        count = json.loads(await ws.receive_text())
    for case in range(1, count + 1):
        try:
            async with connect(f"{url}/runCase?case={case}&agent={agent}", config=CONFIG) as ws:
                async for message in ws:
                    await ws.send(message)
        except WindsockError as exc:
            # How a case's connection ends is for the suite to judge.
            print(f"case {case}: {exc!r}", flush=True)


def threads_client(url: str) -> None:
    """The same on threads."""
    from windsock.threads import connect

    with connect(f"{url}/getCaseCount", config=CONFIG) as ws:
        count = json.loads(ws.receive_text())
    for case in range(1, count + 1):
        path = f"runCase?case={case}&agent=threads-client"
        try:
            with connect(f"{url}/{path}", config=CONFIG) as ws:
                for message in ws:
                    ws.send(message)
        except WindsockError as exc:
            print(f"case {case}: {exc!r}", flush=True)


SERVERS: Final[dict[str, Callable[[int], None]]] = {
    "trio-server": trio_server,
    "asyncio-server": asyncio_server,
    "twisted-server": twisted_server,
    "threads-server": threads_server,
    "asgi-uvicorn": asgi_uvicorn,
    "asgi-hypercorn": asgi_hypercorn,
}
CLIENTS: Final[dict[str, Callable[[str], None]]] = {
    "trio-client": trio_client,
    "asyncio-client": asyncio_client,
    "twisted-client": twisted_client,
    "threads-client": threads_client,
}


def main() -> None:
    role, name, address = sys.argv[1:]
    if role == "server":
        SERVERS[name](int(address))
    else:
        CLIENTS[name](address)


if __name__ == "__main__":
    main()

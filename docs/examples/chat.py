"""A chat room on trio: docs/tutorial.md builds it step by step."""

from contextlib import suppress

import trio

from windsock.core import App, Disconnected, Reject, Request, Response, WebSocket

PAGE = """<!doctype html>
<title>Chat</title>
<form><input autofocus> <button>Say</button></form>
<pre></pre>
<script>
  const url = new URL("/chat/garden", location.href.replace("http", "ws"));
  url.searchParams.set("name", prompt("Your name?") || "somebody");
  const ws = new WebSocket(url);
  const log = document.querySelector("pre"), input = document.querySelector("input");
  ws.onmessage = (event) => { log.append(event.data + "\\n"); };
  ws.onclose = (event) => { log.append("closed: " + event.code + "\\n"); };
  document.querySelector("form").onsubmit = () => {
    ws.send(input.value);
    input.value = "";
    return false;
  };
</script>
"""

app = App()
rooms: dict[str, set[trio.MemorySendChannel[str]]] = {}


@app.http("/")
async def index(request: Request) -> Response:
    return Response.html(PAGE)


@app.websocket("/chat/{room}")
async def chat(ws: WebSocket, room: str) -> None:
    name = ws.request.query.get("name")
    if name is None:
        raise Reject(400, "a name is needed")
    outbox, lines = trio.open_memory_channel[str](100)
    async with ws, trio.open_nursery() as nursery:
        nursery.start_soon(forward, lines, ws)
        rooms.setdefault(room, set()).add(outbox)
        try:
            tell(room, f"{name} is here")
            async for message in ws:
                if isinstance(message, str):
                    tell(room, f"{name}: {message}")
        finally:
            rooms[room].remove(outbox)
            outbox.close()  # which ends `forward`
            tell(room, f"{name} has left")


def tell(room: str, line: str) -> None:
    """Put a line into everybody's outbox; who is a hundred lines behind misses it."""
    for outbox in rooms[room]:
        with suppress(trio.WouldBlock):
            outbox.send_nowait(line)


async def forward(lines: trio.MemoryReceiveChannel[str], ws: WebSocket) -> None:
    """Send what is in a member's outbox, as fast as that member reads."""
    with suppress(Disconnected):
        async for line in lines:
            await ws.send(line)

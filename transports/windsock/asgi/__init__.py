"""windsock inside an ASGI server, or mounted under another ASGI application: `ASGI(app)`."""

try:
    from ._application import ASGI
except ModuleNotFoundError as error:
    if error.name != "anyio":
        raise
    raise ModuleNotFoundError(
        "windsock.asgi needs anyio: pip install 'windsock[asgi]'", name="anyio"
    ) from None

__all__ = ["ASGI"]

"""The `windsock` command: it has a transport serve an application.

Transports are the entry points of the group `windsock.transports`; one that another package brings
plugs in by being installed. Each names a module that has the function `Transport.run`.

Exit codes: 0 after a graceful shutdown, 1 where serving failed (a port in use, a bad certificate),
2 where the arguments, the application or the transport are at fault, 130 where it was interrupted
at once. Every error is one line on stderr; `--log-level debug` adds the traceback.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import socket
import ssl
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn, Protocol

from windsock.core import App, Application, Config, as_app

TRANSPORTS: Final = "windsock.transports"

_DEFAULT_HOST: Final = "127.0.0.1"
_DEFAULT_PORT: Final = 8765
_DEFAULT_TRANSPORT: Final = "asyncio"  # the one that needs nothing installed

_FAILED: Final = 1
_MISUSED: Final = 2
_INTERRUPTED: Final = 128 + 2

_log = logging.getLogger("windsock.cli")


class Transport(Protocol):
    """What an entry point of the group `windsock.transports` names: a module with this function.

    One that cannot use an `ssl.SSLContext` brings a second function, `make_tls_context(cert, key)`,
    of the paths of two PEM files that were looked into already: what it returns is `ssl_context`.
    """

    def run(
        self,
        app: Application,
        *,
        host: str | None,
        port: int,
        unix: str | None,
        config: Config,
        ssl_context: Any,
        started: Callable[[Sequence[str]], None],
    ) -> None:
        """Serve until SIGINT or SIGTERM, then shut down gracefully and return.

        Args:
            app: an App, or a handler in any style that takes every WebSocket.
            host: name or address to listen on, None for every interface.
            port: 0 for any free one.
            unix: path of a Unix socket to listen on instead.
            config: limits and timeouts; `shutdown_timeout` bounds the graceful shutdown.
            ssl_context: for TLS; None without.
            started: to be called with the URLs that are served, once connections are accepted.

        Raises:
            OSError: it cannot listen there.
            KeyboardInterrupt: a second SIGINT came during the shutdown.
        """
        ...


class CliError(Exception):
    """What went wrong, for the person at the terminal, and the exit code."""

    def __init__(self, message: str, code: int = _MISUSED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv`, by default the process's own arguments; returns its exit code.

    Raises:
        SystemExit: the arguments cannot be parsed, or ask for help or the version.
    """
    args = _make_parser().parse_args(argv)
    logging.basicConfig(
        level=args.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        args.command(args)
    except CliError as error:
        if error.__cause__ is not None:
            _log.debug("the cause", exc_info=error.__cause__)
        print(f"windsock: error: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BaseExceptionGroup as group:  # as it comes out of a nursery
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return _INTERRUPTED
    return 0


# The two commands


def _serve(args: argparse.Namespace) -> None:
    options: dict[str, Any] = {"origins": tuple(args.origin)}
    for name in ("max_message_size", "shutdown_timeout"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    try:
        config = Config(**options)
    except ValueError as error:
        raise CliError(str(error)) from error
    endpoint = _endpoint(args)
    if (args.tls_cert is None) != (args.tls_key is None):
        raise CliError("--tls-cert and --tls-key go together")
    # Before the target: its folder goes on sys.path and may hold a trio.py of its own.
    transport = load_transport(args.transport)
    app = load_target(args.target)
    context: Any = None
    if args.tls_cert is not None:
        context = make_ssl_context(args.tls_cert, args.tls_key)
        make_own = getattr(transport, "make_tls_context", None)
        if make_own is not None:
            context = make_own(args.tls_cert, args.tls_key)
    _run(transport, app, endpoint, config, context, f"serving {args.target} on {args.transport}")


def _demo(args: argparse.Namespace) -> None:
    from windsock.demo import make_app

    name = args.transport
    if name is None:
        name = "trio" if importlib.util.find_spec("trio") else _DEFAULT_TRANSPORT
    transport = load_transport(name)
    config = Config(max_message_size=64 * 1024)
    _run(transport, make_app(name), _endpoint(args), config, None, f"demo on {name}")


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Where to listen."""

    host: str | None
    port: int
    unix: str | None

    def __str__(self) -> str:
        return self.unix or f"port {self.port} of {self.host or 'every interface'}"


def _endpoint(args: argparse.Namespace) -> _Endpoint:
    if args.unix is not None and (args.host is not None or args.port is not None):
        raise CliError("--unix excludes --host and --port")
    if args.unix is not None and sys.platform == "win32":
        raise CliError("--unix: there are no Unix sockets on this system")
    host = _DEFAULT_HOST if args.host is None else args.host
    port = _DEFAULT_PORT if args.port is None else args.port
    return _Endpoint(host or None, port, args.unix)


def _run(
    transport: Transport,
    app: App,
    endpoint: _Endpoint,
    config: Config,
    ssl_context: Any,
    what: str,
) -> None:
    def started(addresses: Sequence[str]) -> None:
        print(f"windsock {what}: {', '.join(addresses)}", flush=True)

    try:
        transport.run(
            app,
            host=endpoint.host,
            port=endpoint.port,
            unix=endpoint.unix,
            config=config,
            ssl_context=ssl_context,
            started=started,
        )
    except OSError as error:
        raise CliError(_why_not_there(error, endpoint), _FAILED) from error


def _why_not_there(error: OSError, endpoint: _Endpoint) -> str:
    if isinstance(error, socket.gaierror):
        return f"no such host: {endpoint.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{endpoint} is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{endpoint.host} is not an address of this machine"
    if error.errno in {errno.EACCES, errno.EPERM} and endpoint.unix is None:
        return f"{endpoint} is not permitted; those below 1024 are often reserved"
    return f"cannot serve on {endpoint}: {error.strerror or error}"


# The transport


def load_transport(name: str) -> Transport:
    """The transport of that name.

    Raises:
        CliError: there is none, or it cannot be imported.
    """
    known = {entry.name: entry for entry in importlib.metadata.entry_points(group=TRANSPORTS)}
    if name not in known:
        names = ", ".join(sorted(known)) or "none; is windsock installed?"
        raise CliError(f"no transport {name!r}; there are: {names}")
    entry = known[name]
    try:
        module = entry.load()
    except (ImportError, AttributeError) as error:
        message = f"transport {name!r} cannot be imported: {error}"
        if isinstance(error, ModuleNotFoundError) and name in _extras(entry):
            assert entry.dist is not None
            message = (
                f"transport {name!r} needs {error.name!r}, which is not installed: "
                f"pip install '{entry.dist.name}[{name}]'"
            )
        raise CliError(message) from error
    if not callable(getattr(module, "run", None)):
        raise CliError(f"transport {name!r} is broken: {entry.value} has no function run")
    transport: Transport = module
    return transport


def _extras(entry: importlib.metadata.EntryPoint) -> list[str]:
    if entry.dist is None:
        return []
    return entry.dist.metadata.get_all("Provides-Extra") or []


# The application


def load_target(target: str) -> App:
    """The application that `module:attribute` or `path/to/file.py:attribute` stands for.

    Raises:
        CliError: there is none; the message says what is missing.
    """
    source, colon, attribute = target.rpartition(":")
    if not colon or "/" in attribute or "\\" in attribute:  # the colon of a drive
        source, attribute = target, "app"
    if not source or not all(part.isidentifier() for part in attribute.split(".")):
        raise CliError(f"TARGET is module:attribute or path/to/file.py:attribute, not {target!r}")
    path = Path(source)
    if source.endswith(".py") or "/" in source or os.sep in source or path.is_file():
        module = _import_file(path)
    else:
        module = _import_module(source)
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise CliError(
                f"{source} has no attribute {attribute!r}{_suggest(module, attribute)}"
            ) from error
    try:
        return as_app(found)
    except TypeError as error:
        kind = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
        raise CliError(
            f"{attribute!r} of {source} is {kind}, neither an App nor a handler"
            f"{_suggest(module, attribute)}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        with_suffix = path.with_name(path.name + ".py")
        hint = f"; did you mean {with_suffix}?" if with_suffix.is_file() else ""
        raise CliError(f"no such file: {path}{hint}") from error
    except IsADirectoryError as error:
        raise CliError(f"{path} is a folder, not a .py file") from error
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}", _FAILED) from error
    if path.suffix != ".py":
        raise CliError(f"{path} is not a .py file")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    # Under its own name, unless that is taken, say by the library of the same name.
    name = path.stem if path.stem not in sys.modules else f"windsock target {path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        _import_failed(str(path), error)
    return module


def _import_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise CliError(f"{name!r} is neither the name of a module nor the path of a .py file")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise CliError(f"no module named {missing!r}") from error
        _import_failed(name, error)


def _import_failed(source: str, error: BaseException) -> NoReturn:
    """The application's own code failed, with any exception at all."""
    message = f"cannot import {source}: {type(error).__name__}: {error}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ") and frame.filename != __file__
    ]
    if frames and not isinstance(error, SyntaxError):  # that one names its place itself
        message += f" ({frames[-1].filename}, line {frames[-1].lineno})"
    raise CliError(message) from error


def _suggest(module: ModuleType, attribute: str) -> str:
    names = [name for name in vars(module) if not name.startswith("_")]
    close = difflib.get_close_matches(attribute, names, n=1)
    apps = [name for name in names if isinstance(vars(module)[name], App)]
    found = next((name for name in [*close, *apps] if name != attribute), None)
    return f"; did you mean {found!r}?" if found else ""


# TLS


def make_ssl_context(cert: str, key: str) -> ssl.SSLContext:
    """A server's context with the certificate and private key of two PEM files.

    Raises:
        CliError: a file cannot be read, is not what it should be, or they do not match.
    """
    for option, path in (("--tls-cert", cert), ("--tls-key", key)):
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise CliError(f"cannot read {option} {path}: {error.strerror}", _FAILED) from error

    def passphrase() -> NoReturn:
        raise CliError(f"--tls-key {key} is encrypted; a key without passphrase is needed", _FAILED)

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cert)
    except ssl.SSLError as error:
        raise CliError(f"--tls-cert {cert} is not a certificate in PEM", _FAILED) from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = f"--tls-key {key} does not belong to --tls-cert {cert}"
        else:
            message = f"--tls-key {key} is not a private key in PEM"
        raise CliError(message, _FAILED) from error
    return context


# The arguments


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_MISUSED, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="windsock", description="WebSockets on any transport.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"windsock {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    serve = commands.add_parser(
        "serve",
        help="serve an application",
        description="Serve an application until SIGINT (Ctrl-C) or SIGTERM.",
        allow_abbrev=False,
    )
    serve.set_defaults(command=_serve)
    serve.add_argument(
        "target",
        metavar="TARGET",
        help="module:attribute or path/to/file.py:attribute, of an App or of a coroutine function "
        "that takes every WebSocket; the attribute is 'app' by default",
    )
    _add_common(serve, f"what it runs on, such as trio or asyncio (default: {_DEFAULT_TRANSPORT})")
    serve.set_defaults(transport=_DEFAULT_TRANSPORT)
    serve.add_argument("--unix", metavar="PATH", help="listen on this Unix socket instead")
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain, in PEM")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key, in PEM")
    serve.add_argument(
        "--origin",
        metavar="ORIGIN",
        action="append",
        type=_origin,
        default=[],
        help="an origin whose pages may connect, besides the server's own, such as "
        "https://app.example, or '*' for all; may be repeated",
    )
    serve.add_argument(
        "--max-message-size",
        metavar="BYTES",
        type=int,
        help=f"largest message that is received (default: {Config().max_message_size})",
    )
    serve.add_argument(
        "--shutdown-timeout",
        metavar="SECONDS",
        type=float,
        help="how long a graceful shutdown waits for open connections "
        f"(default: {Config().shutdown_timeout:g})",
    )

    demo = commands.add_parser(
        "demo",
        help="serve a small chat room",
        description="Serve a small chat room with a page for the browser.",
        allow_abbrev=False,
    )
    demo.set_defaults(command=_demo, unix=None)
    _add_common(demo, "what it runs on (default: trio if it is installed, else asyncio)")
    return parser


def _add_common(parser: argparse.ArgumentParser, transport_help: str) -> None:
    parser.add_argument("--transport", metavar="NAME", help=transport_help)
    parser.add_argument(
        "--host",
        metavar="HOST",
        type=_host,
        help=f"name or address to listen on, '' for all (default: {_DEFAULT_HOST})",
    )
    parser.add_argument(
        "--port",
        metavar="PORT",
        type=_port,
        help=f"port to listen on, 0 for any free one (default: {_DEFAULT_PORT})",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error", "critical"),
        default="info",
        help="what is logged to stderr (default: info)",
    )


def _host(value: str) -> str:
    try:
        value.encode("idna")
    except UnicodeError as error:
        raise argparse.ArgumentTypeError(f"{value!r} cannot be the name of a host") from error
    return value


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {value!r}")
    return int(value)


def _origin(value: str) -> str:
    if not re.fullmatch(r"\*|null|[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\s]+", value):
        raise argparse.ArgumentTypeError(
            f"an origin is scheme://host or scheme://host:port, without a path, not {value!r}"
        )
    return value


def _version() -> str:
    try:
        return importlib.metadata.version("windsock")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"

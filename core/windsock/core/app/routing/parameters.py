"""What a handler's signature asks for: the path's placeholders, and parameters of the query."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any, Final, Protocol

from windsock.core.app.request import Query
from windsock.core.app.response import Reject

from .values import SCALARS, UNCONVERTIBLE, Scalar

_SHOWN: Final = 60  # characters of a value that a response repeats
_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_KEYWORD: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Asked(Protocol):
    """What arguments are taken from: a request."""

    @property
    def path_params(self) -> Mapping[str, Any]:
        """What the placeholders stand for."""
        ...

    @property
    def query(self) -> Query:
        """The parameters of the query string."""
        ...


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter that is filled from the query string."""

    name: str
    scalar: Scalar
    """What its values are converted to."""
    several: bool = False
    """Whether it gets the list of all values instead of the first."""

    def convert(self, text: str) -> Any:
        """The value of one text.

        Raises:
            Reject: it has none: 400, with what is expected and what came.
        """
        try:
            return self.scalar.parse(text)
        except UNCONVERTIBLE:
            shown = ascii(text[:_SHOWN]) + "..." * (len(text) > _SHOWN)
            expected = self.scalar.described
            body = f"The query parameter {self.name!r} must be {expected}, not {shown}.\n"
            raise Reject(400, body) from None


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a handler is called with, besides what leads its arguments."""

    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """The types of placeholders by their parameters' annotations, for `Route.annotations`."""
    query: tuple[QueryParameter, ...] = ()
    """Those filled from the query string."""

    def arguments(self, request: Asked) -> dict[str, Any]:
        """The keyword arguments for a request: its path's values and those of its query.

        Raises:
            Reject: a value of the query does not convert.
        """
        if not self.query:
            return dict(request.path_params)
        return {**request.path_params, **self.query_arguments(request.query)}

    def query_arguments(self, query: Query) -> dict[str, Any]:
        """The keyword arguments that the query has values for.

        Raises:
            Reject: one of them does not convert.
        """
        arguments: dict[str, Any] = {}
        for parameter in self.query:
            texts = query.get_all(parameter.name)
            if texts and parameter.several:
                arguments[parameter.name] = [parameter.convert(text) for text in texts]
            elif texts:
                arguments[parameter.name] = parameter.convert(texts[0])
        return arguments


def read_parameters(
    handler: Callable[..., Any],
    placeholders: Sequence[str],
    *,
    leading: int,
    route: str,
    positional: bool = False,
) -> Parameters:
    """Read what the signature of `handler` asks for, and check that it can be called.

    A placeholder whose parameter is annotated int, float, bool, Decimal, date, time, datetime or
    UUID has that type. A parameter with a default that is no placeholder is filled from the query
    string where its annotation, or else its default, is one of these, str, or a list of them.
    Optional types count as their own; annotations that cannot be resolved convert nothing.

    Args:
        handler: any callable.
        placeholders: the names of the route's placeholders, in order.
        leading: how many positional arguments come first.
        route: what to call the route in messages.
        positional: the placeholders come as positional arguments after the leading ones, in order
            and whatever their parameters are called; else as keyword arguments.

    Raises:
        TypeError: it cannot be called so; the message shows the route and the handler.
    """
    try:
        signature = _signature(handler)
    except ValueError:  # some functions written in C have none
        return Parameters()
    parameters = list(signature.parameters.values())
    order = [p for p in parameters if p.kind in _POSITIONAL]
    where = f"the handler {_name(handler)} of the route {route!r}"
    takes_any = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    positions = leading + len(placeholders) * positional
    if len(order) < positions and not takes_any:
        come = f"{leading} to begin with"
        if positional:
            come += f" and one for each of {_braced(placeholders)}" if placeholders else ""
        raise TypeError(
            f"{where} takes {len(order)} positional arguments, but {positions} come, {come}: "
            "add the missing parameters"
        )
    taken = order[leading:positions]
    if positional:
        by_placeholder = dict(zip(placeholders, taken, strict=False))
    else:
        by_placeholder = _by_name(parameters, order[:leading], placeholders, where)
    rest = [
        p
        for p in parameters
        if p not in order[:positions]
        and p not in by_placeholder.values()
        and p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    ]
    for parameter in rest:
        if parameter.default is Parameter.empty:
            raise TypeError(
                f"{where} has a parameter {parameter.name!r} that nothing is passed for: add "
                f"{{{parameter.name}}} to the path, or give the parameter a default"
            )
    namespace = _namespace(handler)
    annotations = {
        name: scalar.name
        for name, parameter in by_placeholder.items()
        if (scalar := _scalar(_hint(parameter, namespace))) and scalar.name != "str"
    }
    bound = _bound(handler)
    wanted = [
        _query_parameter(p, namespace) for p in rest if p.kind in _KEYWORD and p.name not in bound
    ]
    return Parameters(annotations, tuple(q for q in wanted if q is not None))


def _by_name(
    parameters: Sequence[Parameter],
    leading: Sequence[Parameter],
    placeholders: Sequence[str],
    where: str,
) -> dict[str, Parameter]:
    """The parameters that are placeholders."""
    named = {p.name: p for p in parameters if p.kind in _KEYWORD and p not in leading}
    others = {p.name: p for p in parameters if p.kind in _POSITIONAL}
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    for name in placeholders:
        if name in named:
            continue
        if name in others and others[name] in leading:
            if others[name].kind is Parameter.POSITIONAL_ONLY and takes_any:
                continue
            raise TypeError(
                f"{where} has {name!r} for its parameter number "
                f"{leading.index(others[name]) + 1}, which is passed something else than "
                f"{{{name}}}: give one of them another name"
            )
        if takes_any:
            continue
        if name in others:
            raise TypeError(
                f"{where} takes {name!r} by position only, but placeholders are passed by name: "
                "remove the / from its signature"
            )
        raise TypeError(
            f"{where} has no parameter for {{{name}}}: add the parameter {name!r}, or write {{}} "
            "in the path for what is not needed"
        )
    return {name: named[name] for name in placeholders if name in named}


def _query_parameter(parameter: Parameter, namespace: Mapping[str, Any]) -> QueryParameter | None:
    hint = _hint(parameter, namespace)
    if parameter.annotation is Parameter.empty:
        default: object = parameter.default
        hint = str if default is None else type(default)
    several = typing.get_origin(hint) is list
    if several:
        hint = _plain(typing.get_args(hint)[0])
    scalar = _scalar(hint)
    return None if scalar is None else QueryParameter(parameter.name, scalar, several)


def _scalar(hint: object) -> Scalar | None:
    return SCALARS.get(hint) if isinstance(hint, type) else None


def _hint(parameter: Parameter, namespace: Mapping[str, Any]) -> object:
    """The type that a parameter is annotated with; None if none can be told."""
    if parameter.annotation is Parameter.empty:
        return None

    def annotated() -> None: ...

    # One by one: those that only a type checker knows must not take the others with them.
    annotated.__annotations__ = {"hint": parameter.annotation}
    try:
        hint = typing.get_type_hints(annotated, dict(namespace))["hint"]
    except Exception:  # whatever evaluating it raises
        return None
    return _plain(hint)


def _plain(hint: object) -> object:
    """`X` for an optional X."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        alternatives = [one for one in typing.get_args(hint) if one is not type(None)]
        if len(alternatives) == 1:
            return alternatives[0]
    return hint


def _signature(handler: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # pragma: no cover
        import annotationlib

        return inspect.signature(handler, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(handler)


def _function(handler: Any) -> Any:
    """The function behind a handler."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    handler = inspect.unwrap(handler)
    if inspect.isroutine(handler) or isinstance(handler, type):
        return getattr(handler, "__func__", handler)
    return inspect.unwrap(type(handler).__call__)


def _namespace(handler: Any) -> Mapping[str, Any]:
    namespace: Mapping[str, Any] = getattr(_function(handler), "__globals__", {})
    return namespace


def _bound(handler: Any) -> set[str]:
    """The keyword arguments that a partial function comes with: no request may change them."""
    names: set[str] = set()
    while isinstance(handler, functools.partial):
        names.update(handler.keywords)
        handler = handler.func
    return names


def _name(handler: Any) -> str:
    return str(getattr(handler, "__qualname__", None) or repr(handler))


def _braced(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)

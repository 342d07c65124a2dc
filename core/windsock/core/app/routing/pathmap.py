"""Paths to rules, by werkzeug's map of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from .shapes import Part


class Rule(Protocol):
    """What a map leads to."""

    @property
    def number(self) -> int:
        """Its own among all rules."""
        ...

    @property
    def methods(self) -> Collection[str]:
        """The methods it is for."""
        ...

    @property
    def segments(self) -> Sequence[str | Part]:
        """Its path."""
        ...


RuleT = TypeVar("RuleT", bound=Rule)


@dataclass(frozen=True, slots=True)
class Found(Generic[RuleT]):
    """A rule and, for each part of its path, the text."""

    rule: RuleT
    texts: tuple[str, ...]


class _Methods(set[str]):
    """The methods of a rule, which holds none for a request that has skipped the rule.

    A map asks every rule that a path leads to whether it is for the method. So a request for "GET"
    that goes on as "GET 3" gets the rule that comes after rule 3.
    """

    def __init__(self, methods: Iterable[str], number: int) -> None:
        super().__init__(methods)
        self._number = str(number)

    def __contains__(self, asked: object) -> bool:
        method, *skipped = str(asked).split(" ")
        return super().__contains__(method) and self._number not in skipped


class PathMap(Generic[RuleT]):
    """Finds the rules that a path and a method lead to, the most specific first."""

    def __init__(self, rules: Iterable[RuleT]) -> None:
        # Imported here: werkzeug's package imports sockets and threads, which the core must not.
        from werkzeug import routing
        from werkzeug.exceptions import MethodNotAllowed, NotFound

        self._method_not_allowed = MethodNotAllowed
        self._not_found = NotFound
        parts: list[Part] = []
        self._literal: dict[str, list[RuleT]] = {}

        class Converter(routing.BaseConverter):
            """Takes what a part takes, and leaves it as it is."""

            def __init__(self, converters: routing.Map, number: int) -> None:
                super().__init__(converters)
                self.regex = parts[number].regex
                self.weight = parts[number].rank
                self.part_isolating = not parts[number].spans

        paths = routing.Map(
            strict_slashes=False,
            merge_slashes=False,
            redirect_defaults=False,
            converters={"part": Converter},
        )
        for rule in rules:
            path = ""
            for segment in rule.segments:
                if isinstance(segment, str):
                    path += f"/{segment}"
                else:
                    path += f"/<part({len(parts)}):p{len(parts)}>"
                    parts.append(segment)
            if all(isinstance(segment, str) for segment in rule.segments):
                self._literal.setdefault(path, []).append(rule)
            added = routing.Rule(path, endpoint=rule, methods=rule.methods)
            added.methods = _Methods(rule.methods, rule.number)
            paths.add(added)
        paths.update()
        self._paths = paths.bind("localhost")

    def find(
        self, path: str, method: str, skipped: Collection[RuleT]
    ) -> Found[RuleT] | Collection[str]:
        """The first rule for `path` and `method` besides the skipped ones.

        If there is none, the methods of the rules that `path` leads to.
        """
        # What is written out goes before placeholders, so nothing in the map goes before this.
        for rule in self._literal.get(path, ()):
            if method in rule.methods and rule not in skipped:
                return Found(rule, ())
        asked = " ".join([method, *(str(rule.number) for rule in skipped)])
        try:
            found: tuple[RuleT, Mapping[str, Any]] = self._paths.match(path, asked)
        except self._method_not_allowed as error:
            return set(error.valid_methods or ())
        except self._not_found:
            return set()
        rule, texts = found
        return Found(rule, tuple(texts.values()))

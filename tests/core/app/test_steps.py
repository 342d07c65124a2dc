"""Coroutines made of plain functions: the same in C as in Python, and as any coroutine."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import types
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import ModuleType
from typing import Any

import pytest

from windsock.core.app.steps import in_python

try:
    from windsock.core.app import _steps as compiled
except ImportError:  # the tests that need it say so
    compiled = None  # type: ignore[assignment]  # which has no such type

InSteps = Callable[..., Callable[..., Any]]


def in_c(*functions: Any, least: int = 1) -> Any:
    """As `in_steps`, in C."""
    return compiled.in_steps(*(*functions, least))


def in_pure_python(*functions: Any, least: int = 1) -> Any:
    """As `in_steps`, in Python."""
    return in_python(*(*functions, least))


needs_c = pytest.mark.skipif(compiled is None, reason="the steps in C are not built here")


@pytest.fixture(params=["python", pytest.param("c", marks=needs_c)])
def in_steps(request: pytest.FixtureRequest) -> InSteps:
    return in_pure_python if request.param == "python" else in_c


class Pause:
    """Awaiting it yields itself, once; what it is resumed with is the result."""

    def __await__(self) -> Generator[Pause, Any, Any]:
        return (yield self)


class Log(list[Any]):
    """What was called, in order; and functions that say so."""

    def start(self, subject: Any, argument: Any) -> Awaitable[Any]:
        self.append(("start", subject, argument))
        return self._pause()

    async def _pause(self) -> Any:
        try:
            return await Pause()
        finally:
            self.append("awaited")

    def suspend(self, subject: Any, argument: Any) -> None:
        self.append(("suspend", subject, argument))

    def finish(self, subject: Any, argument: Any, value: Any, error: BaseException | None) -> Any:
        self.append(("finish", subject, argument, value, error))
        if error is not None:
            raise error
        return f"made of {value}"

    async def otherwise(self, subject: Any, argument: Any) -> Any:
        self.append(("otherwise", subject, argument))
        return await Pause()


def finished(steps: Coroutine[Any, Any, Any], value: Any = None) -> Any:
    """What it returns when it is resumed with `value`."""
    with pytest.raises(StopIteration) as stop:
        steps.send(value)
    return stop.value.value


def way(in_steps: InSteps, log: Log, **functions: Any) -> Any:
    chosen = {name: getattr(log, name) for name in ("start", "suspend", "finish", "otherwise")}
    chosen |= functions
    return in_steps(*chosen.values())("subject", "argument")


def now(value: Any) -> Callable[[Any, Any], Awaitable[Any]]:
    """A step that does not suspend."""

    async def at_once() -> Any:
        return value

    return lambda _, __: at_once()


def refuse(*_: Any) -> Any:
    """A step that is for another."""
    return NotImplemented


def test_the_first_is_awaited_and_its_value_made_into_the_result(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    assert log == []
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, 5) == "made of 5"
    assert log == [
        ("start", "subject", "argument"),
        ("suspend", "subject", "argument"),
        "awaited",
        ("finish", "subject", "argument", 5, None),
    ]


@pytest.mark.parametrize("value", [None, 0, "text", (1, 2), StopIteration(3)])
def test_any_value_is_returned_as_it_is(in_steps: InSteps, value: Any) -> None:
    steps = way(in_steps, Log(), start=now(value), finish=lambda _, __, value, ___: value)
    assert finished(steps) is value


def test_it_is_awaited_like_any_coroutine(in_steps: InSteps) -> None:
    log = Log()
    make = in_steps(now("a"), log.suspend, log.finish, log.otherwise)

    async def outer() -> list[Any]:
        return [await make("s", number) for number in range(3)]

    assert finished(outer()) == ["made of a"] * 3
    steps = make("s", 0)
    assert isinstance(steps, Coroutine)
    assert inspect.isawaitable(steps)
    steps.close()


@types.coroutine
def generator_based() -> Generator[Pause, Any, Any]:
    """As coroutines once were."""
    return (yield Pause())


@pytest.mark.parametrize("make", [Pause, generator_based])
def test_what_is_no_coroutine_can_be_awaited_as_well(
    in_steps: InSteps, make: Callable[[], Any]
) -> None:
    steps = way(in_steps, Log(), start=lambda _, __: make())
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, 1) == "made of 1"


def test_one_within_another(in_steps: InSteps) -> None:
    log = Log()
    inner = in_steps(log.start, log.suspend, log.finish, log.otherwise)
    steps = way(in_steps, Log(), start=inner)
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, 1) == "made of made of 1"


def test_suspend_is_called_once(in_steps: InSteps) -> None:
    async def twice() -> Any:
        return (await Pause(), await Pause())

    log = Log()
    steps = way(in_steps, log, start=lambda _, __: twice())
    steps.send(None)
    steps.send(1)
    assert finished(steps, 2) == "made of (1, 2)"
    assert log.count(("suspend", "subject", "argument")) == 1


@needs_c
def test_in_c_suspend_is_not_called_where_nothing_suspends() -> None:
    log = Log()
    assert finished(way(in_c, log, start=now(1))) == "made of 1"
    assert log == [("finish", "subject", "argument", 1, None)]


def test_start_may_choose_otherwise(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log, start=refuse)
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, "b") == "b"
    assert log == [("otherwise", "subject", "argument")]


def test_finish_may_choose_otherwise(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log, start=now(1), finish=refuse)
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, "c") == "c"
    assert log[-1] == ("otherwise", "subject", "argument")


async def last() -> Any:
    return await Pause()


@pytest.mark.parametrize("make", [last, Pause])
def test_what_finish_returns_is_awaited(in_steps: InSteps, make: Callable[[], Any]) -> None:
    steps = way(in_steps, Log(), start=now(1), finish=lambda *_: make())
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, "d") == "d"


# Errors


class Wrong(Exception):
    """Some error."""


def raising(*_: Any) -> Any:
    raise Wrong


async def failing(*_: Any) -> Any:
    raise Wrong


@pytest.mark.parametrize(
    "functions",
    [
        {"start": raising},
        {"start": refuse, "otherwise": raising},
        {"start": refuse, "otherwise": failing},
        {"start": now(1), "finish": raising},
        {"start": now(1), "finish": lambda *_: failing()},
        {"start": lambda _, __: failing()},
    ],
)
def test_an_error_of_any_step_comes_out(in_steps: InSteps, functions: dict[str, Any]) -> None:
    log = Log()
    steps = way(in_steps, log, **functions)
    with pytest.raises(Wrong):
        steps.send(None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        steps.send(None)
    assert [entry for entry in log if entry[0] == "start"] == []


def test_finish_is_told_the_error_of_the_first_and_may_know_better(in_steps: InSteps) -> None:
    def finish(_: Any, __: Any, value: Any, error: BaseException | None) -> Any:
        assert value is None
        assert isinstance(error, Wrong)
        assert error.__traceback__ is not None
        return "all the same"

    assert finished(way(in_steps, Log(), start=lambda _, __: failing(), finish=finish)) == (
        "all the same"
    )


@pytest.mark.parametrize("nothing", [None, 5, "text", (n for n in "ab")])
def test_what_cannot_be_awaited(in_steps: InSteps, nothing: Any) -> None:
    steps = way(in_steps, Log(), start=lambda _, __: nothing)
    with pytest.raises(TypeError):
        steps.send(None)


def test_a_value_before_the_first_step(in_steps: InSteps) -> None:
    steps = way(in_steps, Log())
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        steps.send(1)
    steps.close()


# Arguments


def test_none_stands_for_an_argument_that_is_not_given(in_steps: InSteps) -> None:
    log = Log()
    steps = in_steps(log.start, log.suspend, log.finish, log.otherwise)("subject")
    steps.send(None)
    assert finished(steps, 5) == "made of 5"
    assert log == [
        ("start", "subject", None),
        ("suspend", "subject", None),
        "awaited",
        ("finish", "subject", None, 5, None),
    ]


async def only(subject: Any) -> Any:
    """Takes no argument."""
    return f"otherwise with {subject} only"


def test_otherwise_is_called_without_it_too(in_steps: InSteps) -> None:
    log = Log()
    make = in_steps(refuse, log.suspend, log.finish, only)
    assert finished(make("subject")) == "otherwise with subject only"


async def any_way(*arguments: Any, **named: Any) -> Any:
    """Takes everything."""
    return arguments, named


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3)])
def test_too_few_and_too_many_are_for_otherwise(
    in_steps: InSteps, arguments: tuple[int, ...]
) -> None:
    log = Log()
    make = in_steps(log.start, log.suspend, log.finish, any_way, least=2)
    assert finished(make(*arguments)) == (arguments, {})
    assert log == []


def test_named_ones_are_for_otherwise(in_steps: InSteps) -> None:
    log = Log()
    make = in_steps(log.start, log.suspend, log.finish, any_way)
    assert finished(make(1, argument=2)) == ((1,), {"argument": 2})
    assert log == []


def test_otherwise_says_what_is_wrong_with_them(in_steps: InSteps) -> None:
    log = Log()
    make = in_steps(log.start, log.suspend, log.finish, log.otherwise, least=2)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'argument'"):
        make("subject")
    with pytest.raises(TypeError):
        in_steps(log.start)


def test_as_a_method(in_steps: InSteps) -> None:
    log = Log()

    class Subject:
        method = in_steps(log.start, None, log.finish, any_way)
        __anext__ = in_steps(now("next"), None, log.finish, any_way)

    async def iterating(subject: Any) -> Any:
        return await anext(subject)

    subject = Subject()
    for bound in (subject.method, getattr(subject, "method")):  # noqa: B009  # another opcode
        steps = bound("argument")
        steps.send(None)
        assert finished(steps, 5) == "made of 5"
        assert log[0] == ("start", subject, "argument")
        log.clear()
    assert finished(Subject.method(subject, named=1)) == ((subject,), {"named": 1})
    assert finished(iterating(subject)) == "made of next"


def test_it_is_described_as_what_it_is_otherwise(in_steps: InSteps) -> None:
    log = Log()

    class Subject:
        method = in_steps(log.start, None, log.finish, any_way)

    assert inspect.signature(Subject.method) == inspect.signature(any_way)
    assert inspect.signature(Subject().method).parameters.keys() == {"arguments", "named"}
    assert Subject.method.__name__ == "any_way"
    assert Subject.method.__qualname__ == "any_way"
    assert Subject.method.__doc__ == inspect.getdoc(any_way)


def test_suspend_may_be_left_out(in_steps: InSteps) -> None:
    log = Log()
    steps = in_steps(log.start, None, log.finish, log.otherwise)("subject")
    assert isinstance(steps.send(None), Pause)
    assert finished(steps, 5) == "made of 5"


# Errors thrown into it


def test_an_error_is_thrown_into_what_is_awaited(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    steps.send(None)
    error = Wrong("a")
    with pytest.raises(Wrong) as found:
        steps.throw(error)
    assert found.value is error
    assert log[-2:] == ["awaited", ("finish", "subject", "argument", None, error)]


def test_an_error_that_is_caught_within_goes_no_further(in_steps: InSteps) -> None:
    async def catching() -> Any:
        try:
            await Pause()
        except Wrong:
            await Pause()
        return "caught"

    steps = way(in_steps, Log(), start=lambda _, __: catching())
    steps.send(None)
    assert isinstance(steps.throw(Wrong), Pause)
    assert finished(steps) == "made of caught"


def test_an_error_may_have_it_return(in_steps: InSteps) -> None:
    async def catching() -> Any:
        try:
            await Pause()
        except Wrong:
            return "caught"

    steps = way(in_steps, Log(), start=lambda _, __: catching())
    steps.send(None)
    with pytest.raises(StopIteration) as stop:
        steps.throw(Wrong())
    assert stop.value.value == "made of caught"


def test_an_error_before_the_first_step(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    with pytest.raises(Wrong):
        steps.throw(Wrong("early"))
    assert log == []


def test_an_error_for_what_takes_none(in_steps: InSteps) -> None:
    class Bare:
        def __await__(self) -> Any:
            return iter([1, 2])

    log = Log()
    steps = way(in_steps, log, start=lambda _, __: Bare())
    assert steps.send(None) == 1
    with pytest.raises(Wrong):
        steps.throw(Wrong())
    assert isinstance(log[-1][-1], Wrong)


def test_what_is_no_error_is_not_thrown(in_steps: InSteps) -> None:
    steps = way(in_steps, Log())
    with pytest.raises(TypeError):
        steps.throw(5)
    steps.close()


# Its end before its time


def test_closed_before_the_first_step(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    steps.close()
    steps.close()
    assert log == []
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        steps.send(None)


def test_closed_while_it_waits(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    steps.send(None)
    steps.close()
    assert log[-2] == "awaited"
    assert isinstance(log[-1][-1], GeneratorExit)


def test_an_end_that_is_ignored(in_steps: InSteps) -> None:
    async def stubborn() -> Any:
        try:
            await Pause()
        except GeneratorExit:
            await Pause()

    steps = way(in_steps, Log(), start=lambda _, __: stubborn())
    steps.send(None)
    with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
        steps.close()


def test_an_error_at_its_end(in_steps: InSteps) -> None:
    def finish(*_: Any) -> Any:
        raise Wrong

    steps = way(in_steps, Log(), finish=finish)
    steps.send(None)
    with pytest.raises(Wrong):
        steps.close()


def test_nobody_resumes_it(in_steps: InSteps) -> None:
    log = Log()
    steps = way(in_steps, log)
    steps.send(None)
    del steps
    gc.collect()
    assert log[-2] == "awaited"
    assert isinstance(log[-1][-1], GeneratorExit)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_nobody_awaits_it(in_steps: InSteps) -> None:
    with pytest.warns(RuntimeWarning, match=r"coroutine 'Log\.otherwise' was never awaited"):
        way(in_steps, Log())  # and it is gone


def test_it_is_not_resumed_from_within(in_steps: InSteps) -> None:
    found: list[Any] = []

    async def resuming() -> Any:
        for resume in (lambda: found[0].send(None), found[0].close):
            with pytest.raises(ValueError, match="already executing"):
                resume()
        return "went on"

    steps = way(in_steps, Log(), start=lambda _, __: resuming())
    found.append(steps)
    assert finished(steps) == "made of went on"


class Held:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("resumed", [False, True])
def test_nothing_is_kept(in_steps: InSteps, resumed: bool) -> None:
    held = Held()
    gone = weakref.ref(held)
    log = Log()
    steps = in_steps(now(1) if resumed else log.start, log.suspend, log.finish, log.otherwise)(
        held, held
    )
    if resumed:
        finished(steps)
    else:
        steps.send(None)
        steps.close()
    log.clear()
    del held
    gc.collect()  # an error refers to the frame of who raises it again
    assert gone() is None
    del steps


def test_a_function_is_not_kept(in_steps: InSteps) -> None:
    subject: Any = type("Subject", (), {})
    subject.method = in_steps(now(subject), None, now(subject), any_way)
    gone = weakref.ref(subject)
    del subject
    gc.collect()
    assert gone() is None


def test_a_cycle_is_collected(in_steps: InSteps) -> None:
    held = Held()
    gone = weakref.ref(held)
    log = Log()
    held.steps = in_steps(log.start, log.suspend, lambda *_: None, log.otherwise)(held, None)  # type: ignore[attr-defined]  # a cycle
    held.steps.send(None)  # type: ignore[attr-defined]  # as above
    log.clear()
    del held
    gc.collect()
    assert gone() is None
    assert log == ["awaited"]


# Which of them


def load(monkeypatch: pytest.MonkeyPatch, pure: str) -> ModuleType:
    """The module anew, as another process would have it."""
    monkeypatch.setenv("WINDSOCK_PURE", pure)
    spec = importlib.util.find_spec("windsock.core.app.steps")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("pure", "in_c"), [pytest.param("", True, marks=needs_c), ("1", False)])
def test_python_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, pure: str, in_c: bool
) -> None:
    module = load(monkeypatch, pure)
    assert module.IN_C is in_c
    log = Log()
    steps = module.in_steps(now(1), log.suspend, log.finish)(log.otherwise)("subject")
    assert inspect.iscoroutine(steps) is not in_c
    assert finished(steps) == "made of 1"

"""The tables: every pair of state and input, and what a wrong one is told."""

from __future__ import annotations

import pytest

from windsock.core.protocol.errors import LocalProtocolError
from windsock.core.protocol.state import CLIENT, COMMANDS, SERVER, Input, State, Table, transition

PAIRS = [
    pytest.param(table, state, given, id=f"{name}-{state.value}-{given.value}")
    for name, table in [("server", SERVER), ("client", CLIENT)]
    for state in table
    for given in Input
]


@pytest.mark.parametrize(("table", "state", "given"), PAIRS)
def test_every_pair(table: Table, state: State, given: Input) -> None:
    if given in table[state]:
        assert transition(table, state, given) is table[state][given]
    else:
        allowed = ", ".join(i.value for i in table[state] if i in COMMANDS)
        with pytest.raises(LocalProtocolError) as caught:
            transition(table, state, given)
        assert str(caught.value) == (
            f"cannot {given.value} while the connection is {state.value}; allowed now: {allowed}"
        )


@pytest.mark.parametrize("table", [SERVER, CLIENT], ids=["server", "client"])
def test_every_state_leads_to_the_end_and_none_leads_out_of_it(table: Table) -> None:
    for state in table:
        seen, ahead = set(), {state}
        while ahead:
            seen |= ahead
            ahead = {target for s in ahead for target in table[s].values()} - seen
        assert State.CLOSED in seen
        assert seen <= set(table)
    assert set(table[State.CLOSED].values()) == {State.CLOSED}


def test_the_roles_differ_only_before_the_websocket_is_open() -> None:
    shared = {State.OPEN, State.CLOSING, State.DRAINING, State.CLOSED}
    assert {s: SERVER[s] for s in shared} == {s: CLIENT[s] for s in shared}
    assert SERVER.keys() - shared == {State.AWAITING_REQUEST, State.DECIDING, State.RESPONDING}
    assert CLIENT.keys() - shared == {State.AWAITING_RESPONSE}


@pytest.mark.parametrize("table", [SERVER, CLIENT], ids=["server", "client"])
def test_close_write_failure_and_end_of_stream_are_allowed_everywhere(table: Table) -> None:
    for state in table:
        assert {Input.CLOSE, Input.WRITE_FAILED, Input.EOF} <= table[state].keys()

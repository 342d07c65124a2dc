"""The list of scenarios is complete on both sides, and its tables name nobody unknown."""

from __future__ import annotations

from types import ModuleType

import pytest

from . import test_our_clients, test_our_servers
from .our_servers import OUR_SERVERS
from .scenarios import CLIENTS_CANNOT, SCENARIOS, SERVERS_CANNOT, SERVERS_OF_OURS_CANNOT


@pytest.mark.parametrize("module", [test_our_servers, test_our_clients])
def test_every_scenario_is_tested_once(module: ModuleType) -> None:
    marks = [
        mark.args[0]
        for test in vars(module).values()
        for mark in getattr(test, "pytestmark", ())
        if mark.name == "scenario"
    ]
    assert sorted(marks) == sorted(SCENARIOS)


def test_tables_name_what_there_is() -> None:
    tables = [
        (CLIENTS_CANNOT, test_our_servers.CLIENTS),
        (SERVERS_OF_OURS_CANNOT, OUR_SERVERS),
        (SERVERS_CANNOT, test_our_clients.SERVERS),
    ]
    for table, peers in tables:
        for peer, scenario in table:
            assert peer in peers
            assert scenario in SCENARIOS

"""What the tests of the service share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serve.fuzzed_server import FuzzedServer, fuzzed_server


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    """One service for all that is hostile; at its end it must have said nothing, and end well."""
    with fuzzed_server(tmp_path_factory.mktemp("fuzzed")) as server:
        yield server

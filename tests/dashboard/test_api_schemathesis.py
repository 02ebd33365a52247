"""Schemathesis asks every operation of the OpenAPI document with what nobody would think of: never a 5xx."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case

from catalog.catalog import Catalog
from dashboard.api_server import create_api_server
from loaders.store import Store
from loaders.workspace import Workspace

EXAMPLES = 15


@pytest.fixture
def operations(workspace: Workspace, store: Store, catalog: Catalog) -> list[Any]:
    """The operations of the activation server, which has every one that there is."""
    server = create_api_server(workspace, store.id, catalog)
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", server)
    return [result.ok() for result in document.get_all_operations()]


def ask_everything(operation: Any) -> set[int]:
    """Ask one operation with many drawn requests; the statuses of the answers, none of which may be a 5xx."""
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def ask(case: Case) -> None:
        answer = case.call()
        seen.add(answer.status_code)
        assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text}"

    ask()
    return seen


def test_no_operation_answers_with_a_server_error(operations: list[Any]) -> None:
    statuses = {operation.label: ask_everything(operation) for operation in operations}
    assert len(statuses) >= 20 and all(statuses.values())
    assert {200, 404} <= set().union(*statuses.values())

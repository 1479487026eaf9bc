"""`claimnode risk hospitals` and `risk statistics`: what a node counted, as a table and as JSON."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from cli.risk import risk

HOSPITAL = {
    "hospital": "h1",
    "grade": "MEDIUM",
    "hits": [{"rule": "RK04", "evidence": ["h1/ES1"]}],
    "insufficient": ["RK11"],
    "cells": [],
}
MONTH = {"month": "2021-12", "graded": 3, "grades": {"LOW": 2, "HIGH": 1}, "hits": {"RK09": 1}}


class Client:
    def pages(self, path: str) -> list[dict[str, Any]]:
        assert path == "/v1/risk/hospitals"
        return [HOSPITAL]

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/v1/risk/statistics"
        return {"items": [MONTH]}


@pytest.fixture(autouse=True)
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: Client())


def run(*arguments: str) -> str:
    result = CliRunner().invoke(risk, [*arguments, "--node", "x"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_hospitals() -> None:
    assert run("hospitals").splitlines()[1].split() == ["h1", "MEDIUM", "RK04", "h1/ES1", "RK11"]
    assert json.loads(run("hospitals", "--json")) == {"hospitals": [HOSPITAL]}


def test_statistics() -> None:
    assert run("statistics").splitlines()[1].split() == ["2021-12", "3", "HIGH", "1,", "LOW", "2", "RK09", "1"]
    assert json.loads(run("statistics", "--json")) == {"months": [MONTH]}

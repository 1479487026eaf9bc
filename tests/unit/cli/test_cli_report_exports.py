"""`claimnode report closing` and `fees`: columns of a mapping, statements, refusals before the node is asked."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import to_builtins

from cli.main import claimnode
from tests.unit.contracts.test_report_closings import CLOSED

MAPPING = """
[[column]]
name = "序列号"
field = "sequence"

[[column]]
name = "金额"
field = "claimed_fen"
form = "yuan"

[[column]]
name = "结案日"
field = "closed_ms"
form = "date"
"""
RATES = """
provider = "tpa"
payer = "insurer"
currency = "CNY"

[[rate]]
service = "full service"
unit = "case"
fen = 2000
first = "2026-01-01"
last = "2026-12-31"
"""


class Node:
    """A client with two pages of closed claims."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, **query: Any) -> Any:
        assert path == "/v1/statistics/closings"
        self.asked.append(query)
        item = {**to_builtins(CLOSED), "sequence": CLOSED.sequence}
        return {"items": [item], "next": 1, "more": query["after"] == 0, "utc_offset_minutes": 480}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    found = Node()
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: found)
    return found


def call(folder: Path, text: str, *words: str) -> Result:
    (folder / "file.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(claimnode, ["report", *words, str(folder / "file.toml"), "--node", "n"])


def test_closed_claims_come_in_the_columns_of_the_mapping(node: Node, tmp_path: Path) -> None:
    result = call(tmp_path, MAPPING, "closing", "--from", "2026-01-01", "--mapping")
    assert result.exit_code == 0, result.output
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows == [["序列号", "金额", "结案日"], *[["20260131-000017", "2500.05", "2026-01-31"]] * 2]
    assert [query["after"] for query in node.asked] == [0, 1]
    assert node.asked[0]["from"] == "2026-01-01"
    shown = json.loads(call(tmp_path, MAPPING, "closing", "--json", "--mapping").stdout)
    assert shown["claims"][0] == dict(zip(*rows[:2], strict=True))


def test_fees_count_closed_cases(node: Node, tmp_path: Path) -> None:
    words = ("fees", "--from", "2026-01-01", "--to", "2026-01-31", "--rates")
    text = call(tmp_path, RATES, *words).stdout
    assert "full service  case  2      20.00 CNY  40.00 CNY" in text
    assert "total: 40.00 CNY" in text
    assert json.loads(call(tmp_path, RATES, words[0], "--json", *words[1:]).stdout)["total_fen"] == 4_000


@pytest.mark.parametrize(
    ("text", "part"),
    [("[[column]]\nname = 'a'\n", "column 1"), ("column = ", "no TOML"), ("x = '" + "a" * 300_000 + "'", "at most")],
)
def test_a_faulty_mapping_is_refused_before_the_node_is_asked(node: Node, tmp_path: Path, text: str, part: str) -> None:
    result = call(tmp_path, text, "closing", "--mapping")
    assert result.exit_code == 2
    assert part in result.stderr
    assert node.asked == []


def test_a_file_that_is_not_there(node: Node) -> None:
    result = CliRunner().invoke(claimnode, ["report", "closing", "--mapping", "no.toml", "--node", "n"])
    assert result.exit_code == 2
    assert "no.toml" in result.stderr

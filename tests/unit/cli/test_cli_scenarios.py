"""The scenarios' own figures: worked out by hand in their files, and here against the specification's plain reading."""

from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from cli.demo import build_answer, find_faults
from cli.demo_scenarios import print_scenarios, show_scenario
from cli.episodes import Episode
from cli.main import claimnode
from cli.scenarios import NAMES, SCENARIOS, advance, choose, complaint, flash, founding, red_invoice, two_insurers
from cli.scenarios.stage import ScenarioResult
from contracts.cases.lanes import flash_faults, flash_until_ms, read_lanes
from contracts.einvoice import validate
from tests.support.adjudication_oracle import adjudicate
from tests.unit.cli.test_cli_demo import to_case, validators

EPISODES = [
    founding.EPISODE,
    flash.EPISODE,
    advance.EPISODE,
    two_insurers.EPISODE,
    red_invoice.WRONG,
    red_invoice.RIGHT,
    complaint.RIGHT,
]


def as_told(number: int = 0, **changes: Any) -> ScenarioResult:
    scenario = SCENARIOS[number]
    figures = dict(scenario.expected)
    result = ScenarioResult(scenario.name, scenario.title, figures, figures, ["a step"], {"c": "insurer"}, None, True)
    return replace(result, **changes)


def test_all_is_every_scenario_and_names_are_their_own() -> None:
    assert choose(("all",)) == list(SCENARIOS)
    assert choose(("red-invoice", "founding")) == [founding.SCENARIO, red_invoice.SCENARIO]
    assert choose(()) == []
    assert len(set(NAMES)) == len(NAMES)
    assert all(scenario.expected and scenario.title for scenario in SCENARIOS)


@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: str(episode.id))
def test_invoices_are_valid_and_numbered_once(episode: Episode) -> None:
    context = {"as_of": "2025-01-06", "known": []}
    assert [validate({"invoice": item, "context": context})["violations"] for item in episode.invoices] == [[]]
    assert len({item.invoices[0]["number"] for item in EPISODES}) == len(EPISODES)


@pytest.mark.parametrize(
    ("episode", "figure"),
    [
        (founding.EPISODE, founding.EXPECTED["decided_fen"]),
        (flash.EPISODE, flash.EXPECTED["received_fen"]),
        (advance.EPISODE, advance.EXPECTED["benefit_fen"]),
        (red_invoice.WRONG, red_invoice.EXPECTED["wrong_fen"]),
        (red_invoice.RIGHT, red_invoice.EXPECTED["right_fen"]),
        (complaint.WRONG, complaint.EXPECTED["declined_fen"]),
        (complaint.RIGHT, complaint.EXPECTED["overturned_fen"]),
    ],
)
def test_what_is_expected_follows_from_the_specification(episode: Episode, figure: int) -> None:
    (result,) = adjudicate(to_case(episode))["results"]
    assert (result["net_fen"], result["review"]) == (figure, False)


def test_two_insurers_pay_the_loss_and_no_more() -> None:
    bill = two_insurers.EPISODE.invoices[0]
    expected = two_insurers.EXPECTED
    assert expected["first_fen"] + expected["second_fen"] == expected["received_fen"]
    assert expected["received_fen"] == bill["total_fen"] - bill["pooled_fund_fen"]


def test_the_small_claim_may_go_the_flash_lane() -> None:
    bill, lanes = flash.EPISODE.invoices[0], read_lanes(flash.POLICY.terms)
    told = {"review_reasons": (), "is_complete": True, "grade": "LOW", "hospital": flash.EPISODE.hospital}
    assert flash_faults(lanes, claimed_fen=bill["total_fen"] - bill["pooled_fund_fen"], **told) == []
    assert flash_faults(lanes, claimed_fen=500_001, **told) == ["FLASH_LIMIT"]
    assert flash_until_ms(lanes, 0) == flash.MINUTES * 60_000


def test_what_was_advanced_is_the_benefit_and_what_comes_back() -> None:
    expected = advance.EXPECTED
    charges = advance.INTERIM["charges"]
    would_pay = (charges["total_fen"] - charges["pooled_fund_fen"]) * 9 // 10
    assert expected["advanced_fen"] == would_pay * 8 // 10
    assert expected["advanced_fen"] - expected["recoverable_fen"] == expected["benefit_fen"] == expected["kept_fen"]


def test_the_red_invoice_is_the_other_ones_negative() -> None:
    bill = red_invoice.WRONG.invoices[0]
    context = {"as_of": "2025-01-06", "known": [bill]}
    red = red_invoice.build_red(bill)
    assert validate({"invoice": red, "context": context})["violations"] == []
    assert red["total_fen"] + bill["total_fen"] == 0
    assert red_invoice.EXPECTED["right_fen"] > red_invoice.LIMIT_FEN - red_invoice.EXPECTED["wrong_fen"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"figures": {"decided_fen": 200_402, "received_fen": 200_403, "human_steps": 0}}, "decided_fen is 200402"),
        ({"figures": {}}, "received_fen is None, expected 200403"),
        ({"figures": {**founding.EXPECTED, "more": 1}}, "nobody expected more"),
        ({"fault": "timeout: paid"}, "founding: timeout: paid"),
        ({"dossiers_verified": False}, "dossiers were not verified"),
        ({"dossiers_verified": None}, "dossiers were not verified"),
    ],
)
def test_any_difference_of_a_scenario_is_a_fault(change: dict[str, Any], words: str) -> None:
    told = [as_told(**change)]
    assert not told[0].ok
    assert words in "; ".join(find_faults([], [], validators(), told))
    assert build_answer([], [], validators(), told)["ok"] is False


def test_the_answer_lists_scenarios_only_where_some_were_run() -> None:
    answer = build_answer([], [], validators(), [as_told()])
    assert answer["ok"] is True
    assert answer["scenarios"][0]["expected"] == founding.EXPECTED
    assert set(answer["scenarios"][0]) >= {"name", "ok", "figures", "expected", "steps"}
    assert "scenarios" not in build_answer([], [], validators())


def test_people_get_one_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_scenarios([show_scenario(as_told(0)), show_scenario(as_told(1, fault="timeout"))])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert any("received 2004.03" in line and "as expected" in line for line in lines)
    assert any("DIFFERS" in line for line in lines)


def test_an_unknown_scenario_names_those_that_are_there() -> None:
    result = CliRunner().invoke(claimnode, ["demo", "--scenario", "lottery", "--json"])
    assert result.exit_code != 0
    assert "two-insurers" in result.output

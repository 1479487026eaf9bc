"""How the demonstration judges itself, and that the seeded episodes are what they say."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from cli import demo_audit
from cli.demo import base_time_ms, build_answer, find_faults
from cli.demo_audit import _run_auditor, verify_dossiers
from cli.demo_episode import EpisodeResult, Refused, require_ok
from cli.demo_network import ValidatorReport
from cli.episodes import Episode, Expected, discharge_documents
from cli.episodes_documents import build_invoice
from cli.episodes_seeded import SeededEpisodes
from cli.errors import NetworkFailure
from cli.main import claimnode
from contracts.einvoice import validate
from contracts.genesis import encode_genesis
from tests.support.adjudication_oracle import adjudicate
from tests.support.network_builder import make_genesis

EPISODES = list(islice(SeededEpisodes().episodes(), 40))
ROOT = "ab" * 32


def validators(**changes: Any) -> list[ValidatorReport]:
    names = ("commission", "hospital", "insurer", "tpa")
    fields = {"killed": False, "recovered": False, "height": 9, "state_root": ROOT}
    reports = [ValidatorReport(name=name, **fields) for name in names]
    return [*reports[:3], replace(reports[3], **({"killed": True, "recovered": True} | changes))]


def as_expected(episode: Episode) -> EpisodeResult:
    expected = episode.expected
    assert expected is not None
    return EpisodeResult(
        id=episode.id,
        label=episode.label,
        status=expected.status,
        currency=episode.currency,
        decision=expected.decision,
        amount_fen=expected.amount_fen,
        refusal_code=expected.refusal_code,
        claim_ids={"insurer": "c"},
        dossier_verified=True,
        reported_ms=1_736_121_600_000,
    )


def test_ok_means_that_everything_came_out_as_stated() -> None:
    answer = build_answer(EPISODES, [as_expected(episode) for episode in EPISODES], validators())
    assert answer["ok"] is True
    assert sum(answer["counts"].values()) == len(EPISODES)
    assert answer["episodes"][0]["reported_at"] == "2025-01-06T00:00:00Z"
    assert answer["episodes"][0]["discharged_at"] is None


def test_the_answer_has_the_keys_of_the_interface() -> None:
    answer = build_answer(EPISODES[:1], [as_expected(EPISODES[0])], validators())
    assert set(answer) == {"episodes", "validators", "counts", "ok"}
    assert set(answer["episodes"][0]) == {
        "id",
        "label",
        "reported_at",
        "discharged_at",
        "status",
        "decision",
        "amount_fen",
        "currency",
        "refusal_code",
        "dossier_verified",
        "human_steps",
        "authorise_ms",
    }
    assert set(answer["validators"][0]) == {"name", "killed", "recovered", "height", "state_root"}
    assert set(answer["counts"]) == {"paid", "zero", "declined", "in_review", "refused"}
    json.dumps(answer)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "refused"},
        {"decision": "partial"},
        {"amount_fen": 200_402},
        {"refusal_code": "DUPLICATE_OF"},
        {"dossier_verified": False},
        {"dossier_verified": None},
    ],
)
def test_any_difference_of_an_episode_is_a_fault(change: dict[str, Any]) -> None:
    result = replace(as_expected(EPISODES[0]), **change)
    assert len(find_faults(EPISODES[:1], [result], validators())) == 1


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        (validators(state_root="cd" * 32), "do not agree"),
        (validators(height=8), "do not agree"),
        (validators(recovered=False), "tpa did not recover"),
        (validators(killed=False), "no validator was killed"),
        ([], "do not agree"),
    ],
)
def test_any_doubt_about_the_validators_is_a_fault(reports: list[ValidatorReport], words: str) -> None:
    assert words in "; ".join(find_faults(EPISODES[:1], [as_expected(EPISODES[0])], reports))


def test_an_episode_without_a_claim_needs_no_dossier() -> None:
    result = replace(as_expected(EPISODES[4]), claim_ids={}, dossier_verified=None)
    assert find_faults(EPISODES[4:5], [result], validators()) == []


def test_a_source_that_states_nothing_beforehand_is_still_audited() -> None:
    episode = replace(EPISODES[0], expected=None)
    assert find_faults([episode], [as_expected(EPISODES[0])], validators()) == []
    failed = replace(as_expected(EPISODES[0]), dossier_verified=False)
    assert find_faults([episode], [failed], validators()) == ["E001: its dossier was not verified"]


def to_case(episode: Episode) -> dict[str, Any]:
    discharge = episode.discharge
    claim = {name: discharge[name] for name in ("cause", "diagnoses", "first_onset", "diagnosis_date")}
    policies = [{**policy.terms, "product": policy.product} for policy in episode.policies]
    return {
        "claim": {"claim_no": episode.id, **claim},
        "stay": discharge["stay"],
        "invoices": list(episode.invoices),
        "policies": policies,
    }


@pytest.mark.parametrize("episode", EPISODES, ids=[episode.id for episode in EPISODES])
def test_what_is_expected_follows_from_the_specification(episode: Episode) -> None:
    expected = episode.expected
    assert expected is not None
    if expected.status == "refused":
        return
    (result,) = adjudicate(to_case(episode))["results"]
    if expected.status == "in_review":
        assert result["review_reasons"] == ["AMOUNT_OVER_THRESHOLD"]
        return
    assert not result["review"]
    assert (result["decision"], result["net_fen"]) == (expected.decision, expected.amount_fen)


@pytest.mark.parametrize("episode", EPISODES, ids=[episode.id for episode in EPISODES])
def test_invoices_are_valid_but_for_the_one_that_must_not_be(episode: Episode) -> None:
    context = {"as_of": "2025-01-06", "known": []}
    violations = [
        code for item in episode.invoices for code in validate({"invoice": item, "context": context})["violations"]
    ]
    assert violations == (["V08", "V09"] if episode.id == "E002" else [])
    assert episode.discharge["invoice_numbers"] == [item["number"] for item in episode.invoices]


def test_the_founding_case_is_the_founding_case() -> None:
    founding = EPISODES[0]
    assert founding.discharge["diagnoses"] == ["N84.000"]
    assert founding.discharge["stay"]["admission_date"] == "2021-12-03"
    assert founding.discharge["stay"]["discharge_date"] == "2021-12-06"
    assert founding.expected == Expected("paid", "approved", 200_403)


def test_one_of_each_thing_that_can_go_wrong_is_among_the_first_twelve() -> None:
    codes = {episode.expected.refusal_code for episode in EPISODES[:12] if episode.expected}
    assert codes >= {"EVIDENCE_INVALID", "DUPLICATE_OF", "CONSENT_MISSING", "CONSENT_REVOKED"}
    statuses = {episode.expected.status for episode in EPISODES[:12] if episode.expected}
    assert statuses == {"paid", "zero", "declined", "in_review", "refused"}


def test_the_same_number_is_the_same_episodes() -> None:
    assert list(islice(SeededEpisodes().episodes(), 40)) == EPISODES
    numbers = [item["number"] for episode in EPISODES if episode.id != "E003" for item in episode.invoices]
    assert len(set(numbers)) == len(numbers)


def test_simulated_time_begins_after_every_document() -> None:
    assert base_time_ms(EPISODES) == 1_736_121_600_000
    late = replace(EPISODES[0], invoices=({**EPISODES[0].invoices[0], "issue_date": "2026-03-01"},))
    assert base_time_ms([late]) == 1_772_928_000_000


def test_everything_of_a_discharge_is_published_together() -> None:
    assert [kind for kind, _ in discharge_documents(EPISODES[0])] == ["discharge", "invoice", "charges"]


@pytest.mark.parametrize(("total", "pooled", "self_funded"), [(10_000, 0, 0), (1_000_000, 999_999, 1), (50_001, 7, 49)])
def test_built_invoices_satisfy_every_identity(total: int, pooled: int, self_funded: int) -> None:
    invoice = build_invoice(
        number=1,
        patient={"name": "x"},
        admission_date="2023-01-01",
        discharge_date="2023-01-02",
        total_fen=total,
        pooled_fund_fen=pooled,
        self_funded_fen=self_funded,
    )
    assert validate({"invoice": invoice, "context": {"as_of": "2024-01-01", "known": []}})["valid"]


def test_a_refusal_is_not_a_failure_of_the_network() -> None:
    require_ok({"tx_id": "t", "receipt": {"code": "ok", "results": []}})
    results = [{"code": "ok"}, {"code": "CONSENT_REVOKED"}]
    with pytest.raises(Refused, match="CONSENT_REVOKED"):
        require_ok({"tx_id": "t", "receipt": {"code": "partial", "results": results}})
    with pytest.raises(Refused, match="KEY_INACTIVE"):
        require_ok({"tx_id": "t", "receipt": {"code": "KEY_INACTIVE", "results": []}})
    with pytest.raises(NetworkFailure, match="pending"):
        require_ok({"tx_id": "t", "status": "pending"})


def test_a_file_that_is_no_dossier_is_not_verified(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(encode_genesis(make_genesis()))
    files = {name: tmp_path / f"{name}.dossier" for name in ("one", "two")}
    for path in files.values():
        path.write_bytes(b"{}")
    assert verify_dossiers(files, genesis) == {"one": False, "two": False}
    assert len(_run_auditor("".join(f"{path}\n" for path in files.values()), genesis, 60)) == 2
    assert verify_dossiers({}, genesis) == {}


def test_an_auditor_that_says_nothing_has_verified_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.dossier"
    for answer in ([], [{"file": str(file), "ok": True}], [{"file": "other", "ok": True, "trusted": True}]):
        monkeypatch.setattr(demo_audit, "_run_auditor", lambda *_, answer=answer: answer)
        assert verify_dossiers({"x": file}, tmp_path / "genesis.json") == {"x": False}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--episodes", "0"], "--episodes"),
        (["--data", "/nowhere"], "nowhere"),
        (["--keep", "."], "is not empty"),
    ],
)
def test_wrong_use_starts_nothing(options: list[str], words: str) -> None:
    result = CliRunner().invoke(claimnode, ["demo", *options])
    assert result.exit_code == 2
    assert words in result.stderr

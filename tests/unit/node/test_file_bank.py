"""A bank that is spoken to in files: batches after the order is final, answers, failures, retries, contests, time."""

import asyncio
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from contracts.cases.openings import end_to_end_id
from contracts.genesis import CONTEST_MS
from node.agents.bankdesk import BankDesk, RetryRefused
from node.agents.bankfolder import open_bank
from node.audit.build import build_dossier
from node.audit.dossier import encode_dossier
from node.config import BANK_HELD, BankConfig
from node.errors import ConfigError, NodeError, Unavailable
from node.wallet import make_contest, make_payee_change
from tests.second_verifier.test_agreement import REFUSED, first_answer, second_answer
from tests.support.agent_world import World
from tests.support.bank_messages import Said, notification, report
from tests.support.bank_story import AMOUNT, BankStory
from tests.support.ledger_source import MemorySource


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_an_order_leaves_once_and_settles_with_the_banks_booking(tmp_path: Path, forgetful: bool) -> None:
    story = BankStory(tmp_path, forgetful=forgetful)

    async def go() -> None:
        await story.begin()
        assert (story.payout.status, story.waiting_for) == ("ORDERED", "BANK_UNKNOWN")
        assert [item["standing"] for item in story.desk.open_orders()] == ["waiting"]
        name, end_to_end, attempt = story.export()
        path = tmp_path / "insurer" / "bank" / "out" / f"{name}.xml"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert f">{AMOUNT}</InstdAmt>" in path.read_text()
        assert path.read_bytes() == story.desk.batch(name).data
        assert story.desk.export() is None, "an attempt enters one batch"
        await story.world.wait(700_000)
        assert (story.payout.status, story.payout.attempt, story.desk.export()) == ("ORDERED", 1, None)
        booked = notification(Said(end_to_end, attempt, amount=AMOUNT), Said("Z" * 32))
        taken = await story.bring(booked)
        assert [item["standing"] for item in taken["payouts"]] == ["settled"]
        assert (taken["foreign_total"], taken["foreign"][0]["names"]) == (1, "Z" * 32)
        assert (story.payout.status, story.desk.open_orders()) == ("SETTLED_CLAIMED", [])
        again = await story.bring(booked)
        assert again["payouts"][0]["standing"] == "settled"
        assert await story.world.acknowledge(story.wallet) == 1
        assert story.world.claim(story.wallet).status == "CLOSED"

    run(go)


def test_a_rejection_fails_and_a_person_orders_again(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        first, end_to_end, attempt = story.export()
        with pytest.raises(RetryRefused) as caught:
            story.desk.retry(story.payout_id, "staff")
        assert caught.value.code == "not_failed"
        await story.bring(report(first, Said(end_to_end, attempt, status="ACSP")))
        assert story.payout.status == "ORDERED"
        await story.bring(report(first, Said(end_to_end, attempt, status="RJCT")))
        assert (story.payout.status, story.waiting_for) == ("FAILED", "PAYOUT_FAILED")
        await story.world.wait(700_000)
        assert (story.payout.status, story.payout.attempt) == ("FAILED", 1), "nobody asked for another attempt"
        story.desk.retry(story.payout_id, "staff")
        await story.world.settle()
        assert (story.payout.status, story.payout.attempt) == ("ORDERED", 2)
        second, same, other = story.export()
        assert (same == end_to_end, other != attempt, second != first) == (True, True, True)
        await story.bring(report(first, Said(end_to_end, attempt, status="RJCT")))
        assert story.payout.status == "ORDERED", "the old answer, again, says nothing of the new attempt"
        await story.bring(notification(Said(end_to_end, amount=AMOUNT)))
        assert story.payout.status == "SETTLED_CLAIMED"

    run(go)


def test_both_verifiers_follow_a_dossier_whose_second_attempt_was_paid_to_another_account(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        first, *_ = story.export()
        await story.bring(report(first, group="RJCT"))
        token, opening = make_payee_change(story.wallet, story.payout_id, 2, {"name": "Zhang", "account": "6222021111"})
        story.desk.retry(story.payout_id, "staff", token, opening)
        await story.world.settle()
        _, end_to_end, attempt = story.export()
        await story.bring(notification(Said(end_to_end, attempt, amount=AMOUNT)))
        assert await story.world.acknowledge(story.wallet) == 1
        claim_id = story.world.claim_id(story.wallet)
        material = story.world.houses["insurer"].discloser.dossier_material(claim_id)
        dossier = build_dossier(MemorySource(story.world.network), claim_id, material)
        settlement = dossier.payments[0].settlement
        assert settlement is not None
        assert (settlement["attempt"], story.payout.attempt) == (2, 2)
        data, genesis = encode_dossier(dossier), story.world.network.genesis_bytes
        first_said, second_said = first_answer(data, genesis), second_answer(data, genesis)
        assert first_said == second_said != REFUSED
        assert first_said[2] == [9, 10, 11, 12]

    run(go)


def test_another_account_takes_the_payees_signature(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        first, *_ = story.export()
        await story.bring(report(first, group="RJCT"))
        assert story.payout.status == "FAILED"
        payee = {"name": "Zhang San", "account": "6222021111"}
        token, opening = make_payee_change(story.wallet, story.payout_id, 2, payee)
        late, _ = make_payee_change(story.wallet, story.payout_id, 3, payee)
        for wrong in ((late, opening), (token, {**opening, "account": "1"}), (token, None), ("a.b.c", opening)):
            with pytest.raises(RetryRefused) as caught:
                story.desk.retry(story.payout_id, "staff", *wrong)
            assert caught.value.code == "payee_token"
        story.desk.retry(story.payout_id, "staff", token, opening)
        await story.world.settle()
        written = story.desk.export()
        assert written is not None
        assert b"6222021111" in written.data
        assert story.payout.payee_commit != story.world.claim(story.wallet).consent_id

    run(go)


def test_what_does_not_fit_settles_nothing(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        _, end_to_end, attempt = story.export()
        taken = await story.bring(notification(Said(end_to_end, attempt, amount="1353.35")))
        assert (taken["payouts"][0]["standing"], taken["payouts"][0]["code"]) == ("person", "AMOUNT_MISMATCH")
        assert (story.payout.status, story.desk.open_orders()[0]["code"]) == ("ORDERED", "AMOUNT_MISMATCH")

    run(go)


def test_a_contest_and_the_banks_return_fail_what_was_settled(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        _, end_to_end, attempt = story.export()
        await story.bring(notification(Said(end_to_end, attempt, amount=AMOUNT)))
        assert story.payout.settlement_commit is not None
        token = make_contest(story.wallet, story.payout_id, story.payout.settlement_commit)
        await story.world.houses["hospital"].relay_token(token)
        await story.world.settle()
        assert (story.payout.status, story.waiting_for) == ("CONTESTED", "CONTESTED")
        back = Said(end_to_end, attempt, amount=AMOUNT, sign="CRDT", is_return=True, reference="BANK-2")
        await story.bring(notification(back))
        assert (story.payout.status, story.payout.attempt) == ("FAILED", 1)
        story.desk.retry(story.payout_id, "staff")
        await story.world.settle()
        _, _, other = story.export()
        await story.bring(notification(Said(end_to_end, other, amount=AMOUNT, reference="BANK-3")))
        assert story.payout.status == "SETTLED_CLAIMED"
        assert await story.world.acknowledge(story.wallet) == 1, "the customer got the second settlement's opening too"
        assert story.world.claim(story.wallet).status == "CLOSED"

    run(go)


def test_a_payee_who_says_nothing_does_not_keep_the_claim_open(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        _, end_to_end, attempt = story.export()
        await story.bring(notification(Said(end_to_end, attempt, amount=AMOUNT)))
        await story.world.wait(CONTEST_MS + 700_000)
        assert (story.payout.status, story.world.claim(story.wallet).status) == ("PAID_UNCONTESTED", "CLOSED")

    run(go)


def test_a_batch_whose_file_was_not_written_is_written_again_the_same(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        made = story.folders["insurer"].bank.export()
        assert made is not None
        out = tmp_path / "insurer" / "bank" / "out"
        assert list(out.iterdir()) == [], "the node died before the file was written"
        story.world.forget("insurer")
        assert story.desk.export() is None
        assert [path.read_bytes() for path in out.iterdir()] == [made.data]
        assert story.folders["insurer"].recover() == 0

    run(go)


def test_an_attempt_that_the_ledger_does_not_call_ordered_is_not_written(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        bank = story.folders["insurer"].bank
        bank._read = lambda: lambda key: None  # a ledger that knows of nothing
        assert bank.export() is None

    run(go)


def test_after_a_restore_no_order_leaves_until_a_person_says_so(tmp_path: Path) -> None:
    """The vault is older than what left: the order waits in it, and the bank has it."""
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        held = tmp_path / "insurer" / BANK_HELD
        held.parent.mkdir(parents=True)
        held.touch()
        with pytest.raises(NodeError) as caught:
            story.desk.export()
        assert caught.value.code == "bank_held"
        end_to_end = end_to_end_id(story.payout_id)
        await story.bring(notification(Said(end_to_end, f"{end_to_end}-01", amount=AMOUNT)))
        assert story.payout.status == "SETTLED_CLAIMED", "the statement knows what this vault does not"
        assert story.desk.export(release=True) is None
        assert not held.exists()

    run(go)


def test_an_order_that_the_bank_speaks_of_already_is_not_written(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        end_to_end = end_to_end_id(story.payout_id)
        await story.bring(notification(Said(end_to_end, f"{end_to_end}-01", amount="1.00")))
        assert story.desk.export() is None
        assert story.payout.status == "ORDERED"
        assert story.desk.open_orders()[0]["code"] == "AMOUNT_MISMATCH"

    run(go)


def test_a_word_about_a_file_that_this_vault_does_not_know_holds_the_order_back(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        await story.bring(report("CN-" + "A" * 26, Said(end_to_end_id(story.payout_id), status="ACSP")))
        assert story.desk.export() is None

    run(go)


def test_files_in_the_folder_are_taken_and_put_away(tmp_path: Path) -> None:
    story = BankStory(tmp_path)

    async def go() -> None:
        await story.begin()
        _, end_to_end, attempt = story.export()
        inbox = tmp_path / "insurer" / "bank" / "in"
        for name, data in (("a.xml", b"<a>"), ("b.xml", notification(Said(end_to_end, attempt, amount=AMOUNT)))):
            (inbox / name).write_bytes(data)
        (inbox / "notes.txt").write_text("no message")
        first, second = story.desk.take_files()
        assert (first["file"], first["code"]) == ("a.xml", "xml_form")
        assert (second["file"], second["payouts"][0]["standing"]) == ("b.xml", "settled")
        assert sorted(path.name for path in inbox.rglob("*.*")) == ["a.xml", "b.xml", "notes.txt"]
        assert (inbox / "refused" / "a.xml").exists()
        await story.world.settle()
        assert story.payout.status == "SETTLED_CLAIMED"

    run(go)


def test_without_a_bank_of_files_the_desk_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    house = world.houses["insurer"]
    with pytest.raises(Unavailable) as caught:
        BankDesk(house.ports, house.insurer, None).export()
    assert caught.value.code == "no_bank"
    assert open_bank(tmp_path, BankConfig(), house.ports.vault, lambda: world.network.state, lambda: 0) is None
    with pytest.raises(ConfigError) as wrong:
        open_bank(tmp_path, BankConfig(kind="file"), house.ports.vault, lambda: world.network.state, lambda: 0)
    assert wrong.value.code == "config"


def test_a_batch_of_another_name_is_none(tmp_path: Path) -> None:
    story = BankStory(tmp_path)
    for name in ("CN-1", "../../keys", "CN-" + "A" * 26):
        with pytest.raises(NodeError) as caught:
            story.desk.batch(name)
        assert caught.value.code == "no_batch"

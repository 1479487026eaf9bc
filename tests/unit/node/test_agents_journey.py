"""The whole journey with every agent, in memory: from consent to close, and where it ends earlier."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.states import read_account, read_nullifier, read_payout, read_record
from node.agents.hospital import PublicationRefused
from node.agents.mail import post, seal_parcel
from node.agents.policies import PolicyRefused
from node.wallet import ConsentWallet, make_revocation, seal_payee
from tests.support.agent_world import World, admission, charges, discharge, envelope_pair, invoice, standard_policy


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def publish_all(world: World, wallet: ConsentWallet, *documents: Any) -> list[str]:
    await world.publish(wallet, admission())
    return await world.publish(wallet, *(documents or (discharge(), invoice(), charges())))


async def run_founding_case(world: World) -> ConsentWallet:
    certificate = await world.commit_policy()
    wallet = await world.grant(certificate)
    await publish_all(world, wallet)
    return wallet


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_founding_case_is_paid_and_closed(world: World, forgetful: bool) -> None:
    async def story() -> None:
        world.forgetful = forgetful
        wallet = await run_founding_case(world)
        assert world.claim(wallet).status == "DECIDED"
        assert await world.acknowledge(wallet) == 1
        claim, detail = world.claim(wallet), world.detail(wallet)
        assert claim.status == "CLOSED"
        assert detail["status"] == "closed"
        assert detail["decision"] == "approved"
        # (2050.00 - 683.33 - 50.00) x 80 % = 1053.336 -> 1053.34, and three days at 100.00
        assert detail["amount_fen"] == 105_334 + 30_000
        assert detail["human_steps"] == 0
        payout = detail["payouts"][0]
        assert payout["status"] == "PAID"
        assert (payout["expected_fen"], payout["actual_fen"], payout["account"]) == (135_334, 135_334, "captured")
        assert (payout["balance_owner"], payout["actual_by"]) == ("insurer", "account")
        assert world.decisions(wallet)[0]["result"]["result"]["net_fen"] == 135_334
        assert sum(len(block.transactions) for block in world.network.blocks) == 12, "nothing is said twice"
        commission = world.houses["commission"].commission
        assert commission is not None
        lock = commission.nullifier_of(invoice()[1]).nullifier
        assert commission.vault.get_secret(f"invoice/{lock}") is not None, "for a red invoice that reverses it"
        assert commission.vault.work.submitted("commission") == {}
        assert commission.vault.parcels("account", world.claim_id(wallet), sender="insurer"), "for escalation"

    asyncio.run(story())


def test_what_is_over_the_threshold_waits_for_a_person(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await publish_all(world, wallet, discharge(), invoice(total=900_000))
        insurer = world.houses["insurer"].insurer
        assert insurer is not None
        queue = insurer.review_queue()
        assert [item["claim_id"] for item in queue] == [world.claim_id(wallet)]
        assert queue[0]["review_reasons"] == ["AMOUNT_OVER_THRESHOLD"]
        assert world.claim(wallet).status == "EVIDENCE_COMPLETE", "the decision class stays private"
        insurer.release_review(world.claim_id(wallet), "reviewer-7")
        await world.settle()
        await world.acknowledge(wallet)
        assert world.claim(wallet).status == "CLOSED"
        assert world.detail(wallet)["human_steps"] == 1
        assert insurer.review_queue() == []

    asyncio.run(story())


def test_an_unsound_invoice_is_rejected_and_a_corrected_one_replaces_it(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        kind, sound = invoice()
        records = await publish_all(world, wallet, discharge(), (kind, sound | {"cash_fen": sound["cash_fen"] + 1}))
        state = read_record(world.network.state.read, records[1])
        assert state is not None
        assert state.status == "REJECTED"
        hospital = world.houses["hospital"].hospital
        assert hospital is not None
        assert hospital.rejection(records[1]) == ["V08", "V09"]
        assert world.claim(wallet).status == "FILED"
        await hospital.publish_records(wallet.consent_id, [(kind, sound)], replaces=records[1])
        await world.settle()
        assert world.claim(wallet).status == "DECIDED"

    asyncio.run(story())


def test_an_invoice_is_endorsed_once(world: World) -> None:
    async def story() -> None:
        certificate = await world.commit_policy()
        first = await world.grant(certificate)
        known = await publish_all(world, first)
        second = await world.grant(certificate)
        records = await publish_all(world, second)
        hospital, commission = world.houses["hospital"].hospital, world.houses["commission"].commission
        assert hospital is not None
        assert commission is not None
        assert hospital.rejection(records[1]) == ["DUPLICATE_OF"]
        lock = read_nullifier(world.network.state.read, commission.nullifier_of(invoice()[1]).nullifier)
        assert lock is not None
        assert lock.record_id == known[1]
        assert world.claim(second).status == "FILED"
        assert commission.list_cases()[1]["codes"] == {records[1]: ["DUPLICATE_OF"]}

    asyncio.run(story())


def test_a_false_date_makes_no_second_invoice(world: World) -> None:
    """Published again as an invoice of 2022, for which the commission has a key too: the lock is that of the code."""

    async def story() -> None:
        certificate = await world.commit_policy()
        await publish_all(world, await world.grant(certificate))
        second = await world.grant(certificate)
        documents = (admission(), invoice(issue_date="2022-02-01"), discharge())
        records = await world.publish(second, *documents)
        hospital = world.houses["hospital"].hospital
        assert hospital is not None
        assert hospital.rejection(records[1]) == ["DUPLICATE_OF"]

    asyncio.run(story())


def test_after_a_revocation_nothing_leaves_the_hospital(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        before = world.houses["insurer"].ports.vault.parcels_of_case("record", wallet.case_id)
        await world.houses["hospital"].relay_token(make_revocation(wallet))
        await world.settle()
        records = await world.publish(wallet, discharge(), invoice())
        hospital = world.houses["hospital"]
        assert hospital.hospital is not None
        assert hospital.hospital.publication_codes(records[0]) == dict.fromkeys(records, "CONSENT_REVOKED")
        assert world.houses["insurer"].ports.vault.parcels_of_case("record", wallet.case_id) == before
        states = {item.state for record in records for item in hospital.ports.vault.outbox.items("record", record)}
        assert states == {"dropped"}
        assert world.detail(wallet)["status"] == "stopped"

    asyncio.run(story())


def test_a_stay_over_the_turn_of_the_year_is_booked_in_both(world: World) -> None:
    async def story() -> None:
        certificate = await world.commit_policy()
        wallet = await world.grant(certificate)
        dates = {"first": "2021-12-30", "last": "2022-01-03"}
        await world.publish(wallet, admission("2021-12-30"))
        await world.publish(wallet, discharge(**dates), invoice(**dates))
        detail = world.detail(wallet)
        assert detail["results"][0]["benefits"][1]["by_period"] == {"2021": 20_000, "2022": 20_000}
        account = world.houses["insurer"].insurer.book.account(certificate["account_id"], 1)  # type: ignore[union-attr]
        assert account["use"]["prior_use"]["2021"]["AL"]["days_paid"] == 2
        assert account["use"]["prior_use"]["2022"]["AL"]["days_paid"] == 2
        assert account["use"]["used_invoices"] == [{"code": "33060121", "number": "0000000001"}]
        state = read_account(world.network.state.read, certificate["account_id"])
        assert state is not None
        assert state.version == 1

    asyncio.run(story())


def test_a_declined_claim_is_closed_with_the_word_of_a_co_adjudicator(world: World) -> None:
    async def story() -> None:
        policy = standard_policy("insurer")
        terms = policy["terms"] | {"first_effective": "2021-11-20"}
        wallet = await world.grant(await world.commit_policy(terms=terms))
        await publish_all(world, wallet)
        claim, detail = world.claim(wallet), world.detail(wallet)
        assert claim.status == "CLOSED"
        assert (detail["decision"], detail["amount_fen"]) == ("declined", 0)
        payout = read_payout(world.network.state.read, claim.payouts[0])
        assert payout is not None
        assert payout.status == "NOT_DUE"
        reasons = world.decisions(wallet)[0]["result"]["result"]["benefits"][0]["reasons"]
        assert reasons == ["WAITING_PERIOD"], "the customer reads why"

    asyncio.run(story())


def test_the_second_insurer_pays_what_the_first_one_left(world: World) -> None:
    async def story() -> None:
        first, second = await world.commit_policy("insurer"), await world.commit_policy("insurer-two")
        wallet = await world.grant(first, second)
        await publish_all(world, wallet)
        one = world.detail(wallet)["results"][0]
        two = world.detail(wallet, "insurer-two")["results"][0]
        loss = 205_000 - 205_000 // 3
        assert one["benefits"][0]["payable_fen"] == 105_334
        assert two["benefits"][0]["payable_fen"] == loss - 105_334
        assert two["benefits"][0]["reasons"] == ["INDEMNITY_CAP"]
        await world.acknowledge(wallet)
        assert world.claim(wallet, "insurer-two").status == "CLOSED"

    asyncio.run(story())


def test_everything_waits_for_what_is_down_and_goes_on_after(world: World) -> None:
    async def story() -> None:
        certificate = await world.commit_policy()
        wallet = await world.grant(certificate, payee=False)
        world.down.add("commission")
        await publish_all(world, wallet)
        assert world.claim(wallet).status == "FILED"
        world.down.remove("commission")
        world.down.add("tpa")
        await world.wait(700_000)
        assert world.detail(wallet)["waiting_for"] == "MISSING_PAYEE"
        sealed = seal_payee(wallet, [envelope_pair("insurer").public.hex()])
        world.houses["hospital"].mailroom.relay_payee(wallet.token, sealed)
        await world.settle()
        assert world.detail(wallet)["waiting_for"] == "MISSING_SIGNATURES"
        world.down.remove("tpa")
        world.bank_open = False
        await world.wait(700_000)
        assert world.detail(wallet)["waiting_for"] == "BANK_UNKNOWN"
        world.bank_open = True
        await world.wait(700_000)
        assert await world.acknowledge(wallet) == 1
        assert world.claim(wallet).status == "CLOSED"

    asyncio.run(story())


def test_two_claims_on_one_account_are_decided_one_after_the_other(world: World) -> None:
    async def story() -> None:
        certificate = await world.commit_policy()
        wallets = [await world.grant(certificate) for _ in range(2)]
        for wallet in wallets:
            await world.publish(wallet, admission())
        for number, wallet in enumerate(wallets):
            await world.publish(wallet, discharge(), invoice(number + 1))
        await world.wait(5_000)
        assert [world.claim(wallet).status for wallet in wallets] == ["DECIDED", "DECIDED"]
        account = read_account(world.network.state.read, certificate["account_id"])
        assert account is not None
        assert (account.version, account.lease) == (2, None)

    asyncio.run(story())


def test_what_is_decided_is_reserved_until_it_is_settled(world: World) -> None:
    """The first claim's payout is held up: the second one finds its money used; once paid, it is captured."""

    async def story() -> None:
        certificate = await world.commit_policy()
        wallets = [await world.grant(certificate) for _ in range(3)]
        insurer = world.houses["insurer"].insurer
        assert insurer is not None
        world.bank_open = False
        await publish_all(world, wallets[0])
        first = world.detail(wallets[0])["payouts"][0]
        assert (first["account"], first["expected_fen"], first["actual_fen"]) == ("reserved", 135_334, None)
        for number, wallet in enumerate(wallets[1:], 2):
            if number == 3:
                world.bank_open = True
                await world.wait(700_000)
            await publish_all(world, wallet, discharge(), invoice(number))
        payouts = [world.claim(wallet).payouts[0] for wallet in wallets]
        versions = [insurer.book.account(certificate["account_id"], number) for number in (1, 2, 3)]
        held = [[item["payout_id"] for item in version["reserved"]] for version in versions]
        assert held == [payouts[:1], sorted(payouts[:2]), payouts[2:]]
        paid = [version["use"]["prior_use"]["2021"]["IP"]["paid_fen"] for version in versions]
        assert paid == [105_334, 210_668, 316_002], "what is reserved counts as used"

    asyncio.run(story())


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_a_reversal_after_the_payment_gives_the_account_back(world: World, forgetful: bool) -> None:
    """The red invoice comes in a case of its own; the outcome is taken back when no other claim holds the account."""

    async def story() -> None:
        world.forgetful = forgetful
        certificate = await world.commit_policy()
        wallet = await world.grant(certificate)
        await publish_all(world, wallet)
        await world.acknowledge(wallet)
        insurer = world.houses["insurer"].insurer
        assert insurer is not None
        later = await world.grant(certificate)
        await world.publish(later, admission())
        _, bill = invoice()
        red = {name: -value if name.endswith("_fen") else value for name, value in bill.items()}
        red["items"] = [item | {"amount_fen": -item["amount_fen"]} for item in bill["items"]]
        red |= {"kind": "red", "number": "0000000002", "reverses": {"code": bill["code"], "number": bill["number"]}}
        await world.publish(later, ("invoice", red))
        assert world.detail(wallet)["waiting_for"] == "ACCOUNT_LEASED", "the later stay holds the account"
        right = invoice(3)
        await world.publish(later, discharge(invoice_count=2), right)
        await world.wait(10_000)
        assert world.detail(wallet)["payouts"][0]["account"] == "restored"
        account = read_account(world.network.state.read, certificate["account_id"])
        assert account is not None
        assert account.cause == f"restore/{world.claim(wallet).payouts[0]}"
        insurer = world.houses["insurer"].insurer
        assert insurer is not None
        opening = insurer.book.account(certificate["account_id"], account.version)
        assert opening["use"]["prior_use"]["2021"]["IP"]["paid_fen"] == 105_334, "that of the later stay alone"
        assert account.version == 3

    asyncio.run(story())


@pytest.mark.parametrize("owner", ["tpa", "employer"])
def test_where_another_keeps_the_balance_the_actual_amount_is_the_expected_one(world: World, owner: str) -> None:
    async def story() -> None:
        terms = standard_policy("insurer")["terms"] | {"balance_owner": owner}
        wallet = await world.grant(await world.commit_policy(terms=terms))
        await publish_all(world, wallet)
        await world.acknowledge(wallet)
        payout = world.detail(wallet)["payouts"][0]
        assert (payout["balance_owner"], payout["actual_by"]) == (owner, "default")
        assert payout["actual_fen"] == payout["expected_fen"] == 135_334
        with pytest.raises(PolicyRefused, match="balance_owner"):
            await world.commit_policy(terms=terms | {"balance_owner": "nobody"})

    asyncio.run(story())


def test_a_consent_that_is_not_here_or_names_others_publishes_nothing(world: World) -> None:
    async def story() -> None:
        hospital = world.houses["hospital"].hospital
        assert hospital is not None
        with pytest.raises(PublicationRefused, match="CONSENT_MISSING"):
            await hospital.publish_records("0" * 64, [admission()])
        wallet = await world.grant(await world.commit_policy())
        with pytest.raises(PublicationRefused, match="document"):
            await hospital.publish_records(wallet.consent_id, [("admission", {"weight": 1.5})])
        with pytest.raises(PublicationRefused, match="record_type"):
            await hospital.publish_records(wallet.consent_id, [("letter", {})])

    asyncio.run(story())


def test_a_co_adjudicator_that_gets_another_result_sends_the_claim_to_review(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        world.down.add("tpa")
        await publish_all(world, wallet)
        insurer = world.houses["insurer"]
        name = f"proposal/{world.claim_id(wallet)}"
        kept = insurer.ports.vault.need_secret(name)
        kept["package"]["policies"][0]["result"]["result"]["net_fen"] += 100
        insurer.ports.vault.put_secret(name, kept)
        for item in insurer.ports.vault.outbox.items("adjudication", world.claim_id(wallet)):
            insurer.ports.vault.outbox.acknowledge(item)
        envelope = seal_parcel(insurer.ports, "adjudication", world.claim_id(wallet), kept["package"], ["tpa"])
        post(insurer.ports, "adjudication", world.claim_id(wallet), wallet.case_id, envelope, ["tpa"])
        world.down.remove("tpa")
        await world.wait(700_000)
        judge = world.houses["tpa"].adjudicator
        assert judge is not None
        assert judge.refusals(world.claim_id(wallet)) == ["RESULT_DIFFERS"]
        assert world.claim(wallet).status == "EVIDENCE_COMPLETE"
        assert insurer.insurer is not None
        assert insurer.insurer.review_queue()[0]["review_reasons"] == ["CO_ADJUDICATOR_RESULT_DIFFERS"]
        insurer.insurer.release_review(world.claim_id(wallet), "reviewer-7")
        await world.settle()
        assert world.claim(wallet).status == "DECIDED", "the honest proposal made anew is signed"

    asyncio.run(story())


def test_what_stands_in_clear_below_the_vaults_names_nobody(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        wallet = await run_founding_case(world)
        await world.acknowledge(wallet)
        for house in world.houses.values():
            house.ports.vault.close()

    asyncio.run(story())
    seen = 0
    for path in tmp_path.rglob("*"):
        if path.is_file():
            seen += 1
            data = path.read_bytes()
            for secret in ("测试甲", "N84.000", "0000000001", "205000", "payee-account", "135334"):
                assert secret.encode() not in data, path
    assert seen > 20


def test_nonsense_from_another_node_hides_no_answer(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        world.down.add("tpa")
        await publish_all(world, wallet)
        claim_id, tpa = world.claim_id(wallet), world.houses["tpa"].ports
        world.down.remove("tpa")
        await world.houses["tpa"].round()
        for content in ({}, [1], {"signatures": 1}, {"statements": {}, "codes": "x"}):
            envelope = seal_parcel(tpa, "signatures", claim_id, content, ["insurer"])
            post(tpa, "signatures", claim_id, wallet.case_id, envelope, ["insurer"])
        insurer = world.houses["insurer"].ports
        for content in ({}, [1], {"policies": []}, {"claim_id": 7}):
            envelope = seal_parcel(insurer, "closing", claim_id, content, ["tpa"])
            post(insurer, "closing", claim_id, wallet.case_id, envelope, ["tpa"])
        await world.wait(700_000)
        assert world.claim(wallet).status == "DECIDED"

    asyncio.run(story())

"""The HTTP interface over an in-memory network: what goes in, what comes out, and to whom."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from contracts.claimtokens import WITHDRAWAL_TYPE, Complaint, EscalationRequest, ReopeningRequest, Withdrawal
from contracts.tokens import encode_token
from ledger.blocks import decode_block
from ledger.encoding import encode
from ledger.mapproofs import MapProof, verify_map_proof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.offences import build_proof
from ledger.state import map_key, map_value
from node.api import events, gate
from node.api.app import Api
from node.api.gate import Exchange
from node.api.tokens import TOKEN_NAME, Tokens
from tests.support.api_node import MemoryNode, MemoryRoles, make_token, settle_tasks
from tests.support.network_builder import Network, make_hex
from tests.support.offences import as_body, sign_vote

Story = Callable[["Desk"], Coroutine[Any, Any, None]]


class Desk:
    """One participant's interface and a client with a token for everything."""

    def __init__(self, folder: Path, participant: str, network: Network | None = None) -> None:
        self.net = network or Network()
        self.node = MemoryNode(self.net, participant)
        self.roles = MemoryRoles()
        self.api = Api(self.node, self.roles, Tokens(folder / TOKEN_NAME))
        self.token = make_token(folder, name=participant)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.api.app),
            base_url="http://node",
            headers={"Authorization": f"Bearer {self.token}"},
        )

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        return _checked(await self.client.get(path, **options), status)

    async def post(self, path: str, content: Any, status: int = 202, **options: Any) -> Any:
        data = content if isinstance(content, bytes) else msgspec.json.encode(content)
        return _checked(await self.client.post(path, content=data, **options), status)


def _checked(response: httpx2.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
    return response.json()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def run_story(story: Story, participant: str = "insurer", network: Network | None = None) -> None:
        async def play() -> None:
            desk = Desk(tmp_path, participant, network)
            async with desk.api.running(), desk.client:
                await settle_tasks()
                await story(desk)

        asyncio.run(play())

    return run_story


def test_one_transaction_by_its_exact_bytes(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        customer = desk.net.make_consent([])
        signed = desk.net.sign("consent.grant", {"tokens": [customer.token]}, "hospital")
        answer = await desk.post("/v1/transactions?wait=1", signed.encoded, 200)
        assert answer["tx_id"] == signed.tx_id
        assert answer["receipt"]["code"] == "ok"
        assert (await desk.get(f"/v1/transactions/{signed.tx_id}"))["height"] == 1
        assert decode_block(desk.net.blocks[0].encoded).transactions == (signed.encoded,)

    run(story)


def test_a_batch_answers_item_by_item(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        good = [desk.net.sign("policy.commit", {"policies": []}, "insurer").encoded for _ in range(2)]
        bad = good[0].replace(b'"v":1', b'"v": 1')
        for body in (b"[" + b",".join([good[0], bad]) + b"]", b"\n".join([good[1], bad]) + b"\n"):
            results = (await desk.post("/v1/transactions", body))["results"]
            assert [item["code"] for item in results] == ["accepted", "not_canonical"]
            assert results[1]["tx_id"] is None

    run(story)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json"),
        (b"[]", 400, "json"),
        (b"[1,", 400, "json"),
        (b"[" + b"{}," * 1000 + b"{}]", 413, "too_many"),
        (b"{}", 422, "schema"),
        (b"\xff{", 202, None),
    ],
)
def test_bodies_that_are_no_transactions(run: Callable[..., None], body: bytes, status: int, code: str | None) -> None:
    async def story(desk: Desk) -> None:
        answer = await desk.post("/v1/transactions", body, status)
        if code:
            assert answer["code"] == code
        else:
            assert answer["results"][0]["code"] == "json"

    run(story)


def test_a_pending_and_an_unknown_transaction(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        pending, unknown = make_hex("pending"), make_hex("unknown")
        desk.node.pending.add(pending)
        assert (await desk.get(f"/v1/transactions/{pending}"))["status"] == "pending"
        assert (await desk.get(f"/v1/transactions/{unknown}", 404))["code"] == "not_found"
        assert (await desk.get("/v1/transactions/xyz", 400))["code"] == "parameters"

    run(story)


def test_consents_are_checked_before_they_are_relayed(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        policy = desk.net.commit_policy()
        customer = desk.net.make_consent([policy.policy_id])
        answer = await desk.post("/v1/consents?wait=1", {"tokens": [customer.token]}, 200)
        assert answer["consent_ids"] == [customer.consent_id]
        shown = await desk.get(f"/v1/consents/{customer.consent_id}")
        assert shown["case"]["status"] == "OPEN"
        forged = customer.token[:-4] + ("AAAA" if not customer.token.endswith("AAAA") else "BBBB")
        assert (await desk.post("/v1/consents", {"tokens": [forged]}, 422))["code"].startswith("token_")
        blocks = len(desk.net.blocks)
        assert (await desk.post("/v1/consents", {"tokens": []}, 400))["code"] == "schema"
        assert len(desk.net.blocks) == blocks

    run(story)


def test_revocation_by_slip_or_token_but_not_both(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        first, second = desk.net.grant(), desk.net.grant()
        path = f"/v1/consents/{first.consent_id}/revocation"
        token = desk.net.make_revocation(first)
        assert (await desk.post(path, {"token": token, "slip": first.slip}, 400))["code"] == "schema"
        assert (await desk.post(path, {}, 400))["code"] == "schema"
        other = desk.net.make_revocation(first, signed_by=second.seed)
        assert (await desk.post(path, {"token": other}, 422))["code"] == "token_signature"
        answer = await desk.post(path + "?wait=1", {"slip": first.slip}, 200)
        assert answer["receipt"]["code"] == "ok"
        foreign = desk.net.make_revocation(second, consent_id=first.consent_id)
        path = f"/v1/consents/{second.consent_id}/revocation"
        assert (await desk.post(path, {"token": foreign}, 422))["code"] == "token_subject"

    run(story, "hospital")


def test_a_customers_word_about_a_claim_is_relayed_by_any_node(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        policy = desk.net.commit_policy()
        customer, claim_id = desk.net.ready_claim(policy.policy_id)
        other, other_id = desk.net.ready_claim(desk.net.commit_policy().policy_id)
        desk.node.chain.catch_up()
        fields = (1, desk.net.genesis.network, customer.consent_id, claim_id, 1, "ab" * 16)
        token = encode_token(Withdrawal(*fields), WITHDRAWAL_TYPE, customer.seed)
        path = f"/v1/claims/{claim_id}/words"
        assert (await desk.post(path, {"kind": "dispute", "token": token}, 422))["code"] == "token_type"
        forged = encode_token(Withdrawal(*fields), WITHDRAWAL_TYPE, other.seed)
        assert (await desk.post(path, {"kind": "withdraw", "token": forged}, 422))["code"] == "token_signature"
        theirs = encode_token(
            Withdrawal(1, fields[1], other.consent_id, other_id, 1, "cd" * 16), WITHDRAWAL_TYPE, customer.seed
        )
        assert (await desk.post(path, {"kind": "withdraw", "token": theirs}, 422))["code"] == "token_subject"
        unknown = f"/v1/claims/{make_hex('no claim')}/words"
        assert (await desk.post(unknown, {"kind": "withdraw", "token": token}, 404))["code"] == "not_found"
        answer = await desk.post(path + "?wait=1", {"kind": "withdraw", "token": token}, 200)
        assert answer["receipt"]["code"] == "ok"
        for kind, body in (("reopen", ReopeningRequest), ("escalate", EscalationRequest), ("dispute", Complaint)):
            more = {"reopen": ("ef" * 32,), "escalate": ("decide",), "dispute": ("ef" * 32, "ef" * 32)}[kind]
            said = encode_token(body(*fields, *more), f"claim-{kind}+jwt", customer.seed)
            refused = await desk.post(path + "?wait=1", {"kind": kind, "token": said}, 200)
            assert refused["receipt"]["code"] == "WRONG_STATE"

    run(story, "hospital-two")


def test_claims_reports_and_payouts_of_their_parties(run: Callable[..., None], tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        policy = desk.net.commit_policy()
        customer, claim_id = desk.net.ready_claim(policy.policy_id)
        desk.net.adjudicate(claim_id)
        desk.net.wait(1000)
        desk.node.chain.catch_up()
        await settle_tasks()
        claims = await desk.get("/v1/claims")
        assert [item["claim_id"] for item in claims["items"]] == [claim_id]
        assert (await desk.get(f"/v1/claims?after={claims['next']}"))["items"] == []
        claim = await desk.get(f"/v1/claims/{claim_id}")
        assert claim["status"] == "DECIDED"
        assert claim["payouts"][0]["status"] == "AUTHORISED"
        assert (await desk.get("/v1/reports"))["items"][0]["case_id"] == customer.case_id
        assert len((await desk.get("/v1/payouts"))["items"]) == 1
        stranger = Desk(tmp_path, "insurer-two", desk.net)
        async with stranger.api.running(), stranger.client:
            await settle_tasks()
            assert (await stranger.get("/v1/claims"))["items"] == []
            assert (await stranger.get("/v1/payouts"))["items"] == []
            for path in (f"/v1/claims/{claim_id}", f"/v1/claims/{claim_id}/dossier", f"/v1/claims/{claim_id}/decision"):
                assert (await stranger.get(path, 404))["code"] == "not_found"
            assert (await stranger.get(f"/v1/consents/{customer.consent_id}", 404))["code"] == "not_found"
            record_id = claim["records"][0]
            assert (await stranger.get(f"/v1/records/{record_id}", 404))["code"] == "not_found"

    run(story)


def test_decision_and_dossier_come_from_the_vault(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        policy = desk.net.commit_policy()
        _, claim_id = desk.net.ready_claim(policy.policy_id)
        desk.roles.decisions[claim_id] = {"decision": "approved", "net_fen": 1}
        desk.roles.dossiers[claim_id] = b'{"v":1}'
        assert (await desk.get(f"/v1/claims/{claim_id}/decision"))["net_fen"] == 1
        assert await desk.get(f"/v1/claims/{claim_id}/dossier") == {"v": 1}

    run(story)


def test_a_customers_mail_and_account_pass_through_as_ciphertext(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        consent_id = make_hex("consent")
        desk.roles.mail[consent_id] = [{"kind": "decision", "subject": "s", "digest": "d", "envelope": "00"}]
        assert (await desk.get(f"/v1/consents/{consent_id}/mail"))["items"][0]["envelope"] == "00"
        await desk.post("/v1/payees", {"token": "a.b.c", "envelope": "00ff"})
        assert desk.roles.payees == [("a.b.c", b"\x00\xff")]
        for bad in ("0", "zz", ""):
            assert (await desk.post("/v1/payees", {"token": "a.b.c", "envelope": bad}, 400))["code"] == "schema"

    run(story, "hospital")


def test_documents_go_to_the_hospitals_role_alone(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        body = {"consent_id": make_hex("c"), "documents": [{"record_type": "admission", "document": {"ward": "7"}}]}
        assert (await desk.post("/v1/records", body))["record_ids"] == ["cd" * 32]
        assert desk.roles.published == [(make_hex("c"), [("admission", {"ward": "7"})])]
        two = body | {"documents": body["documents"] * 2, "replaces": make_hex("r")}
        assert "a correction is one document" in (await desk.post("/v1/records", two, 400))["detail"]
        assert (await desk.post("/v1/records", body | {"replaces": make_hex("r")}))["record_ids"] == ["cd" * 32]
        body["documents"][0]["record_type"] = "diary"
        assert (await desk.post("/v1/records", body, 400))["code"] == "schema"

    run(story, "hospital")


def test_a_record_shows_what_was_refused_about_it(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        policy = desk.net.commit_policy()
        first, second = desk.net.grant(policy.policy_id), desk.net.grant(policy.policy_id)
        (one,), (two,) = desk.net.publish(first, "invoice"), desk.net.publish(second, "invoice")
        nullifier = make_hex("nullifier")
        for record in (one, two):
            item = desk.net.make_endorsement(record, nullifier=nullifier)
            desk.net.do(
                "record.endorse", {"endorsements": [msgspec.to_builtins(item)], "completions": []}, "commission"
            )
        desk.node.chain.catch_up()
        await settle_tasks()
        shown = await desk.get(f"/v1/records/{desk.net.record_id(two)}")
        assert shown["status"] == "PUBLISHED"
        assert [item["code"] for item in shown["refusals"]] == ["DUPLICATE_OF"]
        assert (await desk.get(f"/v1/records/{desk.net.record_id(one)}"))["refusals"] == []
        desk.roles.tolerated[desk.net.record_id(one)] = ["V08"]
        assert (await desk.get(f"/v1/records/{desk.net.record_id(one)}"))["warnings"] == ["V08"]

    run(story, "hospital")


def test_a_commissions_counts_come_in_pages(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.roles.errors = [{"hospital": "hospital", "month": f"2022-{month:02d}"} for month in range(1, 4)]
        first = await desk.get("/v1/invoices/errors?limit=2")
        assert (first["items"], first["next"], first["more"]) == (desk.roles.errors[:2], 2, True)
        assert (await desk.get("/v1/invoices/errors?after=2"))["items"] == desk.roles.errors[2:]

    run(story, "commission")


def test_proofs_verify_against_the_header(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        signed = [desk.net.sign("policy.commit", {"policies": []}, name) for name in ("insurer", "insurer-two")]
        desk.net.run(*signed)
        desk.node.chain.catch_up()
        proof = await desk.get(f"/v1/proofs/transactions/{signed[1].tx_id}")
        path = [bytes.fromhex(item) for item in proof["path"]]
        root = bytes.fromhex(proof["header"]["tx_root"])
        verify_inclusion(leaf_hash(encode(proof["transaction"])), proof["index"], proof["size"], path, root)
        for key, present in (("participant/tpa", True), ("participant/nobody", False)):
            answer = await desk.get(f"/v1/proofs/state/{key}")
            found = desk.net.state.read(key)
            value = map_value(found) if found else None
            assert (answer["value"] is not None) == present
            verify_map_proof(
                bytes.fromhex(answer["header"]["state_root"]),
                map_key(key),
                value,
                msgspec.convert(answer["path"], MapProof),
            )

    run(story)


def test_blocks_as_they_were_certified(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.net.commit_policy()
        response = await desk.client.get("/v1/blocks/1/bytes")
        assert response.content == desk.net.blocks[0].encoded
        assert len((await desk.get("/v1/blocks/1"))["transactions"]) == 1
        assert (await desk.get("/v1/blocks/9", 404))["code"] == "unknown_height"

    run(story)


def test_events_resume_without_loss_or_duplicate(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        for _ in range(3):
            desk.net.commit_policy()
        desk.net.wait(1000)
        desk.node.chain.catch_up()
        stream = events.messages(desk.node, 1)
        assert (await anext(stream)).startswith(b": from height 1")
        assert (await anext(stream)).startswith(b"id: 2\n")
        assert (await anext(stream)).startswith(b"id: 3\n")
        waiting = asyncio.ensure_future(anext(stream))
        await settle_tasks()
        assert not waiting.done()
        desk.net.commit_policy()
        desk.node.chain.catch_up()
        assert (await waiting).startswith(b"id: 5\n")
        await stream.aclose()
        assert (await desk.get("/v1/events?after=99", 400))["code"] == "cursor"

    run(story)


def test_health_is_for_everybody_and_readiness_is_honest(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.client.headers.pop("authorization")
        assert (await desk.get("/healthz")) == {"status": "alive"}
        assert (await desk.get("/readyz")) == {"status": "ready"}
        desk.node.ready = False
        assert (await desk.get("/readyz", 503))["code"] == "not_ready"

    run(story)


def test_metrics_name_routes_and_no_ids(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        secret = make_hex("an id")
        await desk.get(f"/v1/claims/{secret}", 404)
        await desk.get(f"/nowhere/{secret}", 404)
        text = (await desk.client.get("/metrics")).text
        assert 'route="/v1/claims/{claim_id}",status="404"' in text
        assert secret not in text
        assert "claimnode_height 0.0" in text

    run(story)


def test_a_body_over_the_limit_is_refused_unread(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODY", 100)

    async def endless() -> Any:
        for _ in range(50):
            yield b"x" * 10

    async def story(desk: Desk) -> None:
        assert (await desk.post("/v1/transactions", b"x" * 101, 413))["code"] == "too_large"
        response = await desk.client.post("/v1/transactions", content=endless())
        assert response.json()["code"] == "too_large"

    run(story)


def test_a_request_that_takes_too_long_ends(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_SECONDS", 0.01)

    async def story(desk: Desk) -> None:
        async def never(claim_id: str) -> bytes:
            await asyncio.Event().wait()
            return b""

        _, claim_id = desk.net.ready_claim(desk.net.commit_policy().policy_id)
        desk.roles.dossier = never  # type: ignore[method-assign]
        assert (await desk.get(f"/v1/claims/{claim_id}/dossier", 504))["code"] == "time_limit"

    run(story)


def test_a_fault_of_the_program_shows_nothing_of_itself(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        async def fail(claim_id: str) -> bytes:
            raise RuntimeError("patient 330101")

        _, claim_id = desk.net.ready_claim(desk.net.commit_policy().policy_id)
        desk.roles.dossier = fail  # type: ignore[method-assign]
        answer = await desk.get(f"/v1/claims/{claim_id}/dossier", 500)
        assert answer["code"] == "internal"
        assert "330101" not in str(answer)

    run(story)


def test_an_observer_sees_both_directions_but_no_token(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        seen: list[Exchange] = []
        desk.api.observers.append(seen.append)
        body = {"consent_id": make_hex("c"), "documents": [{"record_type": "admission", "document": {"ward": "7"}}]}
        await desk.post("/v1/records", body)
        assert b'"ward":"7"' in seen[0].request
        assert b"record_ids" in seen[0].response
        assert desk.token.encode() not in seen[0].request

    run(story, "hospital")


def test_status_lists_offences_of_validators(run: Callable[..., None]) -> None:
    """Who, what, where it stands; the same figure in the metrics."""

    async def story(desk: Desk) -> None:
        assert (await desk.get("/v1/status"))["evidence"] == []
        votes = [sign_vote(desk.net, "tpa", "notarize", label) for label in "ab"]
        signed = desk.net.sign("consensus.evidence", as_body(build_proof("tpa", *votes)), "hospital")
        await desk.post("/v1/transactions?wait=1", signed.encoded, 200)
        await settle_tasks()
        status = await desk.get("/v1/status")
        assert status["offences"] == 1
        assert {key: status["evidence"][0][key] for key in ("offender", "kind", "view", "height", "tx_id")} == {
            "offender": "tpa",
            "kind": "double_notarize",
            "view": 7,
            "height": 1,
            "tx_id": signed.tx_id,
        }
        assert "claimnode_offences_total 1.0" in (await desk.client.get("/metrics")).text

    run(story)

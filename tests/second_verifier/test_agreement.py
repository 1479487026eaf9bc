"""Two verifiers of dossiers that share no code agree: on true dossiers of every kind, and on spoilt ones."""

import ast
import random
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from py_ecc.bls import G2ProofOfPossession

from contracts import records
from contracts.bodies import ConsentRevoke, RecordPublish
from contracts.commitments import field_salt
from contracts.execution import ChainState
from contracts.machine.evaluation import LoadedProgram, load_program
from ledger.certificates import Certificate, ValidatorSet, verify_finality
from ledger.crypto import bls
from ledger.encoding import decode, encode
from ledger.errors import SignatureError
from node.audit.build import Material, build_dossier
from node.audit.dossier import encode_dossier
from node.audit.programs import find_program
from node.audit.report import AuditFailure
from node.audit.verify import read_trust, verify_dossier
from tests.second_verifier import verifier
from tests.second_verifier.tampering import other_fields, tampered
from tests.second_verifier.verifier import Aggregate
from tests.support.claim_lives import make_lives
from tests.support.dossiers import Sample, make_samples
from tests.support.ledger_source import MemorySource, certify
from tests.support.network_builder import Network

HERE = Path(__file__).parent
ALLOWED = {"hashlib", "json", "base64", "collections", "datetime", "itertools", "typing"}
ALLOWED |= {"nacl", "starlark"}
SAMPLES, TAMPERED = 40, 150
PARTS = 120
"""Ways to spoil a document shown in part: each of the eight a dozen times."""
MANY_SAMPLES, MANY_TAMPERED = 200, 2_000
REFUSED = "refused"
_programs: dict[str, LoadedProgram] = {}
_proved: set[bytes] = set()


def finality(certificate: Certificate, digest: bytes, validators: ValidatorSet, chain: bytes) -> None:
    """The first verifier's, once for each certificate that holds."""
    place = encode([encode(certificate).hex(), digest.hex(), validators.hash.hex(), chain.hex()])
    if place not in _proved:
        verify_finality(certificate, digest, validators, chain)
        _proved.add(place)


@cache
def _is_aggregate(keys: tuple[bytes, ...], message: bytes, signature: bytes) -> bool:
    try:
        bls.fast_aggregate_verify(keys, message, signature)
    except SignatureError:
        return False
    return True


def native(keys: list[bytes], message: bytes, signature: bytes) -> bool:
    return _is_aggregate(tuple(keys), message, signature)


trust_of: Callable[[bytes], ChainState] = lru_cache(maxsize=8)(read_trust)


def first_answer(data: bytes, genesis: bytes) -> Any:
    """What the first verifier says: what is proved of the disclosure, and the results; or that it refuses."""
    trust = trust_of(genesis)

    def run(contract_hash: str, case_text: str) -> tuple[str, str]:
        if contract_hash not in _programs:
            _programs[contract_hash] = load_program(find_program(trust, contract_hash))
        done = _programs[contract_hash].explain(case_text)
        return done.result, done.trace or "[]"

    try:
        verified = verify_dossier(data, trust, run, finality)
    except AuditFailure:
        return REFUSED
    shown = [check.number for check in verified.checks if check.number > 8 and check.outcome == "proved"]
    return verified.insurer, verified.height, shown, list(verified.results)


def second_answer(data: bytes, genesis: bytes, verify_aggregate: Aggregate = native) -> Any:
    try:
        found = verifier.verify(data, genesis, verify_aggregate)
    except verifier.Refused:
        return REFUSED
    return found["insurer"], found["height"], found["shown"], found["results"]


def check_true(samples: tuple[Sample, ...], verify_aggregate: Aggregate = native) -> None:
    for sample in samples:
        data = encode_dossier(sample.dossier)
        answer = first_answer(data, sample.genesis)
        assert answer != REFUSED, sample.kind
        assert second_answer(data, sample.genesis, verify_aggregate) == answer, sample.kind


def check_tampered(
    samples: tuple[Sample, ...], count: int, seed: int, verify_aggregate: Aggregate = native
) -> Counter[str]:
    """How many spoilt ones both accept, by the way they were spoilt: parts that may be left out. Asserts agreement."""
    draw, encoded, accepted = random.Random(seed), [encode_dossier(item.dossier) for item in samples], Counter[str]()
    for number in range(count):
        way, sample, data = tampered(draw, samples, encoded)
        first, second = first_answer(data, sample.genesis), second_answer(data, sample.genesis, verify_aggregate)
        assert first == second, f"{way}, number {number} of seed {seed}, a dossier that is {sample.kind}"
        unchanged = data in encoded
        accepted[way] += first != REFUSED and not unchanged
    return accepted


def check_accepted(accepted: Counter[str], count: int) -> None:
    """Only what was left out whole, or changed nothing that is proved, may pass; and it is rare."""
    ways = {"remove_item", "drop_field", "truncate", "swap_field", "change_value"}
    assert {way for way in accepted if accepted[way]} <= ways
    assert accepted.total() <= count // 20


@pytest.mark.parametrize("action", ["claim.suspend", "claim.request_evidence", "claim.review/open", "claim.withdraw"])
def test_a_life_that_the_second_does_not_know_is_named_by_it(action: str) -> None:
    """The first proves it; the second says which step it stops at, and vouches for nothing."""
    lives = make_lives()
    customer, claim_id = lives.start()
    lives.accept(claim_id)
    lives.finish_case(customer)
    assert lives.act(action, customer, claim_id).code == "ok"
    data = encode_dossier(build_dossier(MemorySource(lives), claim_id, Material()))
    assert first_answer(data, lives.genesis_bytes) != REFUSED
    with pytest.raises(verifier.Refused) as caught:
        verifier.verify(data, lives.genesis_bytes, native)
    assert caught.value.args == (8, action.partition("/")[0])


def test_the_second_verifier_imports_nothing_of_the_first() -> None:
    for node in ast.walk(ast.parse((HERE / "verifier.py").read_text())):
        names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= ALLOWED, names


def test_the_second_verifier_stays_small() -> None:
    """What one reads in an evening: 400 lines, blank ones and all; no other file belongs to it."""
    lines = (HERE / "verifier.py").read_text().splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 120
    assert {path.stem for path in HERE.glob("*.py")} == {"conftest", "tampering", "test_agreement", "verifier"}


def test_both_accept_true_dossiers_of_every_kind() -> None:
    samples = make_samples(SAMPLES)
    check_true(samples)
    assert len({sample.kind for sample in samples}) >= 10


def test_both_say_the_same_of_spoilt_dossiers() -> None:
    check_accepted(check_tampered(make_samples(SAMPLES), TAMPERED, seed=1), TAMPERED)


def test_neither_takes_a_notarization_or_a_skipped_block() -> None:
    """A notarized block may have been skipped: no quorum's word but a finalization of this very header counts."""
    network = Network()
    policy = network.commit_policy()
    customer, claim_id = network.ready_claim(policy.policy_id)
    before = network.state
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "hospital")
    skipped = network.blocks[-1].header_hash
    data = encode_dossier(build_dossier(MemorySource(network), claim_id, Material()))
    file = decode(data)
    assert first_answer(data, network.genesis_bytes) == second_answer(data, network.genesis_bytes) != REFUSED
    for certificate in (
        certify(network, skipped, kind="notarize"),
        certify(network, before.header_hash),
        certify(network, skipped, kind="notarize", view=9),
    ):
        file["anchor"]["certificate"] = decode(encode(certificate))
        spoilt = encode(file)
        assert first_answer(spoilt, network.genesis_bytes) == second_answer(spoilt, network.genesis_bytes) == REFUSED


def test_only_the_first_sees_a_rule_that_all_validators_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quorum that agreed on a wrong execution: rules outside the second verifier's list are re-executed by the first.

    Here everybody let a ciphertext of an unpadded size pass. No change of a file alone leads here.
    """
    network = Network()
    policy = network.commit_policy()
    with monkeypatch.context() as patched:
        patched.setattr(records, "_check_padding", lambda size: None)
        customer = network.grant(policy.policy_id)
        item = replace(network.make_record(customer, "admission"), padded_size=1)
        assert network.do("record.publish", RecordPublish((item,)), "hospital").code == "ok"
        claim_id = network.claim_id(customer)
        data = encode_dossier(build_dossier(MemorySource(network), claim_id, Material()))
    assert first_answer(data, network.genesis_bytes) == REFUSED
    assert second_answer(data, network.genesis_bytes) != REFUSED


def test_the_second_verifier_says_that_it_reads_no_witnessed_checkpoint() -> None:
    sample = make_samples(SAMPLES)[0]
    file = decode(encode_dossier(sample.dossier)) | {"witness": {"checkpoint": "", "consistency": [], "path": []}}
    with pytest.raises(verifier.Refused, match="only the first verifier reads"):
        verifier.verify(encode(file), sample.genesis, native)


def test_both_say_the_same_of_spoilt_parts_of_documents() -> None:
    samples = tuple(one for one in make_samples(SAMPLES) if "fields only" in one.kind)
    encoded, draw, refused = [encode_dossier(one.dossier) for one in samples], random.Random(5), 0
    assert len(samples) >= 3
    for number in range(PARTS):
        at = draw.randrange(len(samples))
        data = other_fields(draw, encoded[at], encoded[at])
        answers = first_answer(data, samples[at].genesis), second_answer(data, samples[at].genesis)
        assert answers[0] == answers[1], number
        assert answers[0] == REFUSED or data == encoded[at], number
        refused += answers[0] == REFUSED
    assert refused > PARTS * 3 // 4


def test_a_whole_document_has_one_spelling() -> None:
    """All its fields as those of a part, each with its salt, give the same commitment: both refuse it."""
    sample = next(one for one in make_samples(SAMPLES) if "documents only" in one.kind)
    file = decode(encode_dossier(sample.dossier))
    item = file["records"][0]
    item["salts"] = {name: field_salt(item["secret"], name) for name in item["document"]}
    item |= {"secret": None, "leaves": [None] * len(item["document"])}
    spoilt = encode(file)
    assert first_answer(spoilt, sample.genesis) == second_answer(spoilt, sample.genesis) == REFUSED


@pytest.mark.slow
def test_agreement_on_two_hundred_true_and_two_thousand_spoilt() -> None:
    samples = make_samples(MANY_SAMPLES)
    check_true(samples)
    check_accepted(check_tampered(samples, MANY_TAMPERED, seed=20211208), MANY_TAMPERED)


@pytest.mark.slow
def test_agreement_on_every_file_that_lacks_one_item() -> None:
    """What may be left out is the same for both: every item of every list, one at a time."""
    kinds = {(one.kind, len(one.dossier.carried), len(one.dossier.records)): one for one in make_samples(SAMPLES)}
    for sample in kinds.values():
        data = encode_dossier(sample.dossier)
        for name, items in decode(data).items():
            for at in range(len(items) if isinstance(items, list) else 0):
                file = decode(data)
                del file[name][at]
                spoilt = encode(file)
                answers = first_answer(spoilt, sample.genesis), second_answer(spoilt, sample.genesis)
                assert answers[0] == answers[1], f"{name} {at} of a dossier that is {sample.kind}"


@pytest.mark.slow
def test_agreement_with_the_reference_of_bls() -> None:
    samples = make_samples(SAMPLES)[::8]
    assert len(samples) == 5
    check_true(samples, G2ProofOfPossession.FastAggregateVerify)
    check_tampered(samples, 10, seed=7, verify_aggregate=G2ProofOfPossession.FastAggregateVerify)

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

from contracts import records
from contracts.bodies import ConsentRevoke, RecordPublish
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
from tests.second_verifier.history import Aggregate
from tests.second_verifier.tampering import tampered
from tests.support.dossiers import Sample, make_samples
from tests.support.ledger_source import MemorySource, certify
from tests.support.network_builder import Network

HERE = Path(__file__).parent
OWN = ("history", "verifier")
ALLOWED = {"hashlib", "json", "re", "base64", "collections", "itertools", "typing"}
ALLOWED |= {"nacl", "py_ecc", "starlark"}
SAMPLES, TAMPERED = 40, 150
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
    assert {way for way in accepted if accepted[way]} <= {"remove_item", "truncate", "swap_field", "change_value"}
    assert accepted.total() <= count // 20


def test_the_second_verifier_imports_nothing_of_the_first() -> None:
    for name in OWN:
        path = HERE / f"{name}.py"
        for node in ast.walk(ast.parse(path.read_text())):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for found in names:
                own = found.startswith("tests.second_verifier.") and found.rpartition(".")[2] in OWN
                assert own or found.partition(".")[0] in ALLOWED, f"{name}: {found}"


def test_the_second_verifier_stays_small() -> None:
    """What one reads in an evening: 400 lines, the blank ones between them not counted; no other file belongs to it."""
    lines = [line for name in OWN for line in (HERE / f"{name}.py").read_text().splitlines()]
    assert sum(bool(line.strip()) for line in lines) <= 400
    assert len(lines) <= 450
    others = {"__init__", "conftest", "tampering", "test_agreement"}
    assert {path.stem for path in HERE.glob("*.py")} - others == {*OWN}


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
    check_true(samples, verifier.G2ProofOfPossession.FastAggregateVerify)
    check_tampered(samples, 10, seed=7, verify_aggregate=verifier.G2ProofOfPossession.FastAggregateVerify)

"""The mempool: admission by bytes and final state alone, bounds, and no poisoning of one transaction by another."""

from dataclasses import replace

import msgspec
import pytest

from contracts.execution import ChainState, genesis_state
from ledger.encoding import encode
from ledger.transactions import MAX_LIFETIME_MS, SignedTransaction, build_transaction, decode_transaction
from node.config import MempoolConfig
from node.errors import Overloaded, Rejected
from node.mempool import Mempool
from node.signatures import SignatureMemory
from tests.support.cluster import NETWORK, build_network, memory_identity, sign_policy

NOW = 1_700_000_000_000


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> ChainState:
    network = build_network(tmp_path_factory.mktemp("net"), time_ms=NOW)
    return genesis_state(network.genesis)


def mempool(**bounds: int) -> Mempool:
    return Mempool(MempoolConfig(**bounds), SignatureMemory())


def signed(**changes: int) -> SignedTransaction:
    return sign_policy(memory_identity("insurer-1", True), "tpa-3", expires_ms=changes.get("expires_ms", NOW + 1_000))


def forged(transaction: SignedTransaction) -> bytes:
    """The same transaction and id, with an author's signature that does not verify."""
    content = {**_plain(transaction), "signature": "00" * 64}
    variant = decode_transaction(encode(content))
    assert variant.tx_id == transaction.tx_id
    return variant.encoded


def _plain(transaction: SignedTransaction) -> dict[str, object]:
    plain = msgspec.to_builtins(transaction.content)
    assert isinstance(plain, dict)
    return plain


def test_a_transaction_is_admitted_once(final: ChainState) -> None:
    """X5: the same bytes again are known."""
    pool, one = mempool(), signed()
    assert pool.admit(one.encoded, final, NOW)[1]
    assert not pool.admit(one.encoded, final, NOW)[1]
    assert [item.tx_id for item in pool] == [one.tx_id]
    assert pool.size_bytes == len(one.encoded)


def test_a_bad_variant_of_an_id_is_refused_and_does_not_poison_the_good_one(final: ChainState) -> None:
    """Cold (never seen), warm (the good one waits), and after the bad one came first."""
    one = signed()
    bad = forged(one)
    cold = mempool()
    with pytest.raises(Rejected, match="bad_signature"):
        cold.admit(bad, final, NOW)
    assert cold.admit(one.encoded, final, NOW)[1]
    with pytest.raises(Rejected, match="bad_signature"):
        cold.admit(bad, final, NOW)
    assert [item.encoded for item in cold] == [one.encoded]


def test_a_signature_is_computed_once(final: ChainState) -> None:
    memory = SignatureMemory()
    pool, one = Mempool(MempoolConfig(), memory), signed()
    pool.admit(one.encoded, final, NOW)
    pool.admit(one.encoded, final, NOW)
    memory.verify_in_block(memory.decode(one.encoded), final.read)
    assert memory.checked == 1


def test_the_memory_of_signatures_is_bounded(final: ChainState) -> None:
    memory = SignatureMemory(capacity=2)
    for _ in range(4):
        one = signed()
        memory.verify(memory.decode(one.encoded), final.read)
    assert len(memory) == 2


@pytest.mark.parametrize(
    ("expires_ms", "code"),
    [(NOW, "expired"), (NOW - 1, "expired"), (NOW + MAX_LIFETIME_MS + 2, "lifetime")],
)
def test_expiry_is_judged_by_time_and_final_block(final: ChainState, expires_ms: int, code: str) -> None:
    with pytest.raises(Rejected, match=code):
        mempool().admit(signed(expires_ms=expires_ms).encoded, final, NOW)


def test_what_is_no_transaction_of_this_network_is_refused(final: ChainState) -> None:
    """O10: the network's name is signed."""
    identity = memory_identity("insurer-1", True)
    common = {"kind": "policy.commit", "body": {}, "author": "insurer-1", "key_id": identity.key_id}
    rest = {"seed": identity.signing.secret, "nonce": "00" * 16, "expires_time": NOW + 1_000}
    other = build_transaction(network="other.net", **common, **rest)  # type: ignore[arg-type]
    stranger = build_transaction(network=NETWORK, **{**common, "key_id": "ab" * 16}, **rest)  # type: ignore[arg-type]
    long = build_transaction(network=NETWORK, **{**common, "body": {"x": "x" * 300_000}}, **rest)  # type: ignore[arg-type]
    cases = {
        b"not json": "json",
        b" " + signed().encoded: "not_canonical",
        b"{}": "schema",
        b"x" * 700_000: "too_large",
        long.encoded: "too_large",
        other.encoded: "network",
        stranger.encoded: "unknown_signer",
    }
    for data, code in cases.items():
        with pytest.raises(Rejected) as caught:
            mempool().admit(data, final, NOW)
        assert caught.value.code == code


def test_a_body_that_breaks_a_contract_rule_is_admitted(final: ChainState) -> None:
    """X6: A refusal is a receipt; leaving it out would be censorship."""
    identity = memory_identity("insurer-1", True)
    odd = build_transaction(
        network=NETWORK, kind="claim.frobnicate", body={}, author="insurer-1", key_id=identity.key_id,
        seed=identity.signing.secret, nonce="00" * 16, expires_time=NOW + 1_000,
    )  # fmt: skip
    assert mempool().admit(odd.encoded, final, NOW)[1]


def test_bounds_by_number_and_by_author(final: ChainState) -> None:
    pool = mempool(max_transactions=100, author_share_percent=3)
    for _ in range(3):
        pool.admit(signed().encoded, final, NOW)
    with pytest.raises(Overloaded) as caught:
        pool.admit(signed().encoded, final, NOW)
    assert caught.value.retry_after_ms > 0
    assert len(pool) == 3
    tpa = sign_policy(memory_identity("tpa-3", True), "insurer-1", expires_ms=NOW + 1_000)
    assert pool.admit(tpa.encoded, final, NOW)[1], "another author still has its share"


def test_final_and_expired_transactions_leave_and_make_room(final: ChainState) -> None:
    pool = mempool(max_transactions=100, author_share_percent=2)
    first, second = signed(), signed(expires_ms=NOW + 10)
    for one in (first, second):
        pool.admit(one.encoded, final, NOW)
    pool.remove(first.tx_id)
    assert first.tx_id not in pool
    assert pool.admit(signed().encoded, final, NOW)[1]
    pool.drop_expired(NOW + 10)
    assert second.tx_id not in pool
    assert pool.size_bytes == sum(len(item.encoded) for item in pool)


def test_a_final_transaction_is_known_and_not_pending_again(final: ChainState) -> None:
    one = signed()
    after = replace(final, is_recent=lambda tx_id: tx_id == one.tx_id)
    pool = mempool()
    assert pool.admit(one.encoded, after, NOW) == (one, False)
    assert len(pool) == 0

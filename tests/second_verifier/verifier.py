"""A second verifier of dossiers, written from `ledger/README.md`: it shares no code with the first.

Uses the standard library, py_ecc (BLS), starlark, and nacl for Ed25519 (its strict rule in plain Python would be long).
`verify` makes that document's checks 1 to 12, or raises Refused with the first that fails: 1 to 7 are here, 8 in
`rules`, 9 to 12 in `openings`, the program's run in `rerun`. The genesis is trusted as it is. Every object is either
hashed whole or closed (`closed`), so no field is left unbound.

What only the first verifier checks. Of check 8: roles, periods, sizes, body schemas, live leases of
others, whether evidence is complete, the codes of refused operations, status by status, and the bytes of `claim`,
`case`, `record`, `nullifier` and `payout` values (their version and predecessor are checked here, and the values of
policies, accounts, consents and loss pools are derived). Of 10 and 11: ranges of a case's fields, how the `use` of an
account moves (its commitment, account and version are checked), lint of programs.
"""

import json
from collections.abc import Callable

import starlark
from py_ecc.bls import G2ProofOfPossession

from tests.second_verifier.basics import (
    Json,
    Refused,
    ascend,
    closed,
    decode,
    encode,
    is_signed,
    named,
    need,
    sha,
    tagged,
    unhex,
)
from tests.second_verifier.openings import check_openings
from tests.second_verifier.rules import Ledger, registered

Aggregate = Callable[[list[bytes], bytes, bytes], bool]
CORE = "v network kind body author nonce expires_time"
LISTS = {
    "epochs": "header certificate validators",
    "headers": "header leaf_index path",
    "entries": "entry leaf_index path",
    "transactions": CORE + " key_id endorsements signature",
    "carried": "key version value",
    "heads": "key path",
    "records": "record_id secret document",
    "policies": "policy_id terms tables account_in account_out pool_in pool_out event_date result",
    "payments": "payout_id order settlement",
}


def verify(
    data: bytes, trusted_genesis: bytes, verify_aggregate: Aggregate = G2ProofOfPossession.FastAggregateVerify
) -> Json:
    """{insurer, height, shown, results}; `shown`: which of checks 9 to 12 the file discloses enough for."""
    try:
        return _verify(data, trusted_genesis, verify_aggregate)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, starlark.StarlarkError) as error:
        raise Refused(1, f"malformed: {type(error).__name__}") from None


def _verify(data: bytes, trusted: bytes, verify_aggregate: Aggregate) -> Json:
    file, genesis = decode(data), json.loads(trusted)
    closed(file, "v kind genesis claim_id insurer anchor payee " + " ".join(LISTS))
    closed(file["anchor"], "header certificate")
    for name, fields in LISTS.items():
        need(type(file[name]) is list, 1, "a list")
        for item in file[name]:
            closed(item, fields)
    need((file["v"], file["kind"]) == (1, "claim-dossier"), 1, "version")
    anchor = file["anchor"]["header"]
    need(encode(file["genesis"]) == trusted and anchor["network"] == genesis["network"], 2, "another genesis")
    _check_finality(file, genesis, tagged("genesis", trusted).hex(), verify_aggregate)
    headers = {item["header"]["height"]: item["header"] for item in file["headers"]} | {anchor["height"]: anchor}
    for item in file["headers"]:
        _check_leaf(4, anchor, tagged("header", encode(item["header"])), item)
    need(ascend([item["header"]["height"] for item in file["headers"]] + [anchor["height"]]), 4, "order")
    leaves = [(_check_leaf(5, anchor, encode(item["entry"]), item), item["entry"]) for item in file["entries"]]
    need(ascend(item["leaf_index"] for item in file["entries"]), 5, "order")
    transactions = _check_transactions(file, genesis)
    own = [entry for _, entry in leaves if entry["tx_id"] in transactions]
    need(list(dict.fromkeys(entry["tx_id"] for entry in own)) == list(transactions), 6, "order of transactions")
    need({entry["height"] for entry in own} | {anchor["height"]} == headers.keys(), 4, "one header for each height")
    for head in file["heads"]:
        _check_head(head, leaves, anchor["state_root"])
    heads = [head["key"] for head in file["heads"]]
    ledger = Ledger(file, genesis, headers, transactions)
    for leaf, entry in leaves:
        ledger.take(leaf.hex(), entry)
    need(not ledger.carried, 8, "a carried value without its entry")
    claim = ledger.state[f"claim/{file['claim_id']}"]
    need(claim["insurer"] == file["insurer"], 8, "insurer")
    case_id = ledger.state[f"consent/{claim['consent_id']}"]["case_id"]
    life = {f"claim/{file['claim_id']}", f"case/{case_id}", f"consent/{claim['consent_id']}"}
    life |= {f"policy/{name}" for name in claim["policies"]} | {f"payout/{name}" for name in claim["payouts"]}
    life |= {f"record/{name}" for name in ledger.state.get(f"case/{case_id}", {"records": ()})["records"]}
    need(ascend(heads) and life <= {*heads}, 7, "an object's history is missing")
    shown, results = check_openings(file, ledger, claim, case_id)
    return {"insurer": claim["insurer"], "height": anchor["height"], "shown": shown, "results": results}


def _check_finality(file: Json, genesis: Json, chain: str, verify_aggregate: Aggregate) -> None:
    """Check 3: each set made the header final that names the next set; the first one is the genesis'."""
    voters = [item for item in genesis["participants"] if item["validator"] and item["finality_key"]]
    members = [{"id": item["id"], "signing_key": item["signing_keys"][0]["public_key"]} for item in voters]
    members = [one | {"finality_key": p["finality_key"]["public_key"]} for one, p in zip(members, voters, strict=True)]
    epoch, above = 1, 0
    for part in (*file["epochs"], file["anchor"]):
        header, said, count = part["header"], part["certificate"], len(members)
        closed(said, "kind epoch view parent_view digest signers signatures")
        need(header["epoch"] == epoch == said["epoch"] and header["height"] > above, 3, "epoch")
        need(header["validator_set_hash"] == named("validator-set", {"epoch": epoch, "validators": members}), 3, "set")
        digest = tagged("header", encode(header))
        need(said["kind"] == "finalize" and said["parent_view"] < said["view"], 3, "no finalization")
        need(said["digest"] in (digest.hex(), tagged("epoch-tail", digest).hex()), 3, "of another header")
        signers = int.from_bytes(unhex(said["signers"]), "little")
        need(len(said["signers"]) == 2 * ((count + 7) // 8) and not signers >> count, 3, "bitmap")
        need(signers.bit_count() >= count - (count - 1) // 3, 3, "quorum")
        fields = {name: said[name] for name in ("epoch", "view", "parent_view", "digest")} | {"chain": chain}
        keys = [bytes.fromhex(one["finality_key"]) for at, one in enumerate(members) if signers >> at & 1]
        signature = unhex("".join(said["signatures"]))
        need(len(said["signatures"]) == 1 and len(signature) == 96, 3, "one aggregate")
        need(verify_aggregate(keys, tagged("vote-finalize", encode(fields)), signature), 3, "signature")
        if "validators" in part:
            epoch, above, members = epoch + 1, header["height"], part["validators"]
            need(header["next_validator_set_hash"] != header["validator_set_hash"], 3, "closes no epoch")
            after = named("validator-set", {"epoch": epoch, "validators": members})
            need(ascend(one["id"] for one in members) and after == header["next_validator_set_hash"], 3, "next set")


def _check_leaf(number: int, anchor: Json, data: bytes, item: Json) -> bytes:
    """Inclusion under the anchor's log root (RFC 9162 section 2.1.3.2). Returns the leaf hash."""
    at, last = item["leaf_index"], anchor["log_size"] - 1
    need(at <= last, number, "range")
    known = leaf = sha(b"\0" + data)
    need(type(item["path"]) is list, 1, "a list")
    for part in map(unhex, item["path"]):
        need(last > 0, number, "path too long")
        if at & 1 or at == last:
            known = sha(b"\1" + part + known)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            known = sha(b"\1" + known + part)
        at, last = at >> 1, last >> 1
    need(last == 0 and known.hex() == anchor["log_root"], number, "log root")
    return leaf


def _check_transactions(file: Json, genesis: Json) -> dict[str, Json]:
    """Check 6. By transaction id, in the file's order."""
    keys = {item["key"]: item["value"] for item in file["carried"]} | registered(genesis)
    found: dict[str, Json] = {}
    for tx in file["transactions"]:
        need(tx["v"] == 1 and tx["network"] == genesis["network"] and len(encode(tx)) <= 256 * 1024, 6, "form")
        core = named("tx-core", {name: tx[name] for name in CORE.split()})
        signed = encode({"core_hash": core, "key_id": tx["key_id"], "endorsements": tx["endorsements"]})
        need(ascend((item["participant"], item["key_id"]) for item in tx["endorsements"]), 6, "order")
        signatures = [(tx["author"], tx, tagged("tx-author", signed))]
        for item in tx["endorsements"]:
            closed(item, "participant key_id signature")
            said = {"core_hash": core, "participant": item["participant"], "key_id": item["key_id"]}
            signatures.append((item["participant"], item, tagged("tx-endorsement", encode(said))))
        for who, item, message in signatures:
            key = keys[f"key/{item['key_id']}"]
            true = is_signed(key["public_key"], message, unhex(item["signature"]))
            need(true and key["participant"] == who, 6, "signature")
        need(found.setdefault(tagged("tx-id", signed).hex(), tx) is tx, 6, "repeated")
    return found


def _check_head(head: Json, leaves: list[tuple[bytes, Json]], root: str) -> None:
    """Check 7: an unbroken chain of versions, and the last of them in the state map."""
    closed(head["path"], "depth bitmap siblings other")
    need(type(head["path"]["siblings"]) is list, 1, "a list")
    version, before = 0, ""
    for leaf, entry in leaves:
        for write in [item for item in entry["writes"] if item["key"] == head["key"]][:1]:
            need(write["version"] == version + 1 and (write["prev"] or "") == before and write["digest"], 7, "gap")
            version, before = version + 1, leaf.hex()
    need(version, 7, "no history")
    depth, key = head["path"]["depth"], tagged("state-key", head["key"].encode())
    bits = "".join(f"{byte:08b}" for byte in unhex(head["path"]["bitmap"]))
    given, turns = list(head["path"]["siblings"]), int.from_bytes(key, "big")
    need(
        depth <= 256
        and head["path"]["other"] is None
        and len(bits) == (depth + 7) // 8 * 8
        and "1" not in bits[depth:],
        7,
        "form",
    )
    need(bits.count("1") == len(given) and "0" * 64 not in given and bits[:depth][-1:] != "0", 7, "form")
    known = sha(b"\0" + key + tagged("state-leaf", bytes.fromhex(before) + version.to_bytes(8, "big")))
    for at in range(depth - 1, -1, -1):
        other = unhex(given.pop()) if bits[at] == "1" else bytes(32)
        known = sha(b"\1" + (other + known if turns >> (255 - at) & 1 else known + other))
    need(known.hex() == root, 7, "state root")

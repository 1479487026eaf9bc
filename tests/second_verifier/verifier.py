"""A second verifier of dossiers, written from `ledger/README.md`: it shares no code with the first.

`verify` makes checks 1 to 12 or raises Refused. The genesis is trusted. Every object is hashed whole or closed, so that
nothing is unbound; what a quorum certified (results of contracts, forms of what has its id in the log) is believed. A
witnessed checkpoint is refused: notes of witnesses are not read here. The document says what only the first checks.
"""

import hashlib
import json
from base64 import b32encode, urlsafe_b64decode
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from typing import Any

import starlark
from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import CryptoError

Json = dict[str, Any]
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
ORDER = ("leaf_index", "key", "version", "record_id", "policy_id", "payout_id")
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, RecursionError, CryptoError, starlark.StarlarkError)
CLAIM = {"cause": "illness", "diagnoses": [], "returned_count": 0}
CLAIM |= dict.fromkeys(("first_onset", "diagnosis_date", "claimed_fen"))
INVOICE = {"visit_date": None, "kind": "blue", "code": "", "insurance_type": "self_pay", "third_party": []}
INVOICE |= {"disallowed_fen": 0, "prescription": False, "reverses": None}
INVOICE |= dict.fromkeys(("pooled_fund_fen", "other_payment_fen", "self_funded_fen", "class_copay_fen"), 0)
POLICY = {"advance_fen": 0, "periods": [], "history": [], "excluded_icd_prefixes": []}
PRODUCT = {"pre_existing": "exclude", "excluded_icd_prefixes": [], "run_off_days": 0, "review_threshold_fen": 500_000}
PLAN = dict.fromkeys(("annual_limit_fen", "covered_hospital_levels"))
BENEFIT = {"ratios": [], "deductible": {}, "waiting_days": 0, "deductible_days": 0, "vat": "exclude"}
BENEFIT |= {"icd_prefixes": []} | dict.fromkeys(("max_days_per_stay", "max_days_per_year"))
BENEFIT |= dict.fromkeys(("per_visit_limit_fen", "per_day_limit_fen", "annual_limit_fen", "lifetime_limit_fen"))
RATIO = dict.fromkeys(("relation", "social_settled", "level"))


class Refused(Exception):
    """The first check that does not hold: (number, reason)."""


def need(holds: Any, number: int, reason: str) -> None:
    if not holds:
        raise Refused(number, reason)


def closed(value: Any, fields: str) -> None:
    """An object with exactly these fields; counts are whole numbers, true is none."""
    need(type(value) is dict and sorted(value) == sorted(fields.split()), 1, f"not understood, the fields are {fields}")
    counts = [value[name] for name in ("v", "leaf_index", "version", "depth", "expires_time") if name in value]
    need(all(type(count) is int and count >= 0 for count in counts), 1, "a count")


def unhex(text: str, size: int = 0) -> bytes:
    data = bytes.fromhex(text)
    need(data.hex() == text and len(data) == (size or len(data)), 1, "hexadecimal")
    return data


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tagged(tag: str, data: bytes) -> bytes:
    return sha(sha(b"claimnode/" + tag.encode()) * 2 + data)


def named(tag: str, value: Any) -> str:
    return tagged(tag, encode(value)).hex()


def commit_record(record: Json) -> str:
    """RFC 6962 root over a salted leaf for each field, tagged; a document in part comes with the leaves of the rest."""
    secret, document, salts, leaves = (record.get(name) for name in ("secret", "document", "salts", "leaves"))
    if secret is not None:
        salts = {name: tagged("field-salt", unhex(secret, 32) + name.encode()).hex() for name in document}
        leaves = [None] * len(document)
    need(salts.keys() == document.keys() and leaves.count(None) == len(document) > 0, 9, "shown fields")
    need((len(leaves) > len(document)) == (secret is None), 9, "a part that is the whole")
    fields = [{"name": name, "salt": salts[name], "value": document[name]} for name in sorted(document)]
    shown = iter([sha(b"\0" + tagged("field", encode(field))) for field in fields if unhex(field["salt"], 32)])
    nodes = [next(shown) if leaf is None else unhex(leaf, 32) for leaf in leaves]
    while len(nodes) > 1:
        pairs = [sha(b"\1" + a + b) for a, b in zip(nodes[::2], nodes[1::2], strict=False)]
        nodes = pairs + nodes[2 * len(pairs) :]
    return tagged("record-commitment", nodes[0]).hex()


def check_signature(number: int, keys: Json, who: str, item: Json, message: bytes) -> None:
    """Ed25519 by a registered key of theirs: canonical, of prime order, S below the order, no cofactor."""
    key = keys[f"key/{item['key_id']}"]
    public = unhex(key["public_key"])
    need(key["participant"] == who and crypto_core_ed25519_is_valid_point(public), number, "key")
    crypto_sign_open(unhex(item["signature"]) + message, public)


def check_opening(number: int, kind: str, opening: Json, commitment: str, fields: Json, more: int = 99) -> None:
    """What was committed to has a salt, these fields, and no more than so many others."""
    need(opening | fields == opening and len(opening) <= 1 + len(fields) + more, number, f"another {kind}")
    need(named(f"commit-{kind}", opening) == commitment and unhex(opening["salt"], 32), number, kind)


def fill(value: Json, defaults: Json) -> Json:
    return defaults | {name: item for name, item in value.items() if item is not None}


class Dossier:
    """`state` holds values by key; records, cases, statements and payouts are what accepted operations say."""

    def __init__(self, data: bytes, trusted: bytes, aggregate: Aggregate) -> None:
        self.file, self.genesis = file, genesis = json.loads(data.decode()), json.loads(trusted)
        need(encode(file) == data and len(data) <= 64 * 2**20, 1, "not canonical, or too large")
        need("witness" not in file, 3, "a witnessed checkpoint, which only the first verifier reads")
        closed(file, "v kind genesis claim_id insurer anchor payee " + " ".join(LISTS))
        closed(file["anchor"], "header certificate")
        for name, fields in LISTS.items():
            for item in [] + file[name]:  # not of another iterable
                closed(item, fields + " salts leaves" * (name == "records" and item["secret"] is None))
            order = [field for field in ORDER if field in fields.split()]
            places = [[item[field] for field in order] for item in file[name]]
            need(not order or all(one < other for one, other in pairwise(places)), 1, f"order of {name}")
        self.anchor = file["anchor"]["header"]
        need((file["v"], file["kind"]) == (1, "claim-dossier"), 1, "version")
        need(encode(file["genesis"]) == trusted and self.anchor["network"] == genesis["network"], 2, "another genesis")
        keys = [{"participant": one["id"], **key} for one in genesis["participants"] for key in one["signing_keys"]]
        ids = [tagged("key-id", bytes.fromhex(key["public_key"]))[:16].hex() for key in keys]
        self.state: Json = {f"key/{name}": key for name, key in zip(ids, keys, strict=True)}
        self.consents, self.records, self.cases, self.statements, self.payouts = Json(), Json(), Json(), Json(), Json()
        self.check_finality(tagged("genesis", trusted).hex(), aggregate)
        self.check_log()

    def check_finality(self, chain: str, aggregate: Aggregate) -> None:
        """Check 3: each set made the header final that names the next set; the first one is the genesis'."""
        voters = [item for item in self.genesis["participants"] if item["validator"] and item["finality_key"]]
        keys = [(one["id"], one["signing_keys"][0]["public_key"], one["finality_key"]["public_key"]) for one in voters]
        members = [dict(zip(("id", "signing_key", "finality_key"), key, strict=True)) for key in keys]
        epoch, above, known = 1, 0, named("validator-set", {"epoch": 1, "validators": members})
        for part in (*self.file["epochs"], self.file["anchor"]):
            header, said, count = part["header"], part["certificate"], len(members)
            closed(said, "kind epoch view parent_view digest signers signatures")
            need((header["epoch"], header["validator_set_hash"]) == (epoch, known), 3, "another set")
            need(header["height"] > above and (said["kind"], said["epoch"]) == ("finalize", epoch), 3, "no finality")
            digest, signers = tagged("header", encode(header)), int.from_bytes(unhex(said["signers"]), "little")
            need(said["digest"] in (digest.hex(), tagged("epoch-tail", digest).hex()), 3, "of another header")
            need(len(said["signers"]) == 2 * ((count + 7) // 8) and not signers >> count, 3, "bitmap")
            need(signers.bit_count() >= count - (count - 1) // 3 and said["parent_view"] < said["view"], 3, "quorum")
            fields = {name: said[name] for name in ("epoch", "view", "parent_view", "digest")} | {"chain": chain}
            bls_keys = [bytes.fromhex(one["finality_key"]) for at, one in enumerate(members) if signers >> at & 1]
            (signature,) = [] + said["signatures"]
            need(aggregate(bls_keys, tagged("vote-finalize", encode(fields)), unhex(signature)), 3, "signature")
            if "validators" in part:
                epoch, above, members = epoch + 1, header["height"], part["validators"]
                known = named("validator-set", {"epoch": epoch, "validators": members})
                need(header["next_validator_set_hash"] == known != header["validator_set_hash"], 3, "next set")

    def check_log(self) -> None:
        """Checks 4 to 8, and that the life of the claim is there to its end."""
        file, anchor = self.file, self.anchor
        for item in file["headers"]:
            self.check_leaf(4, tagged("header", encode(item["header"])), item)
        heights = [*(item["header"]["height"] for item in file["headers"]), anchor["height"]]
        leaves = [(self.check_leaf(5, encode(item["entry"]), item), item["entry"]) for item in file["entries"]]
        transactions = self.check_transactions()
        own = [entry for _, entry in leaves if entry["tx_id"] in transactions]
        need(list(dict.fromkeys(entry["tx_id"] for entry in own)) == list(transactions), 6, "order of transactions")
        found = {entry["height"] for entry in own} | {anchor["height"]}
        need(heights == sorted(found), 4, "one header for each height")
        for head in file["heads"]:
            self.check_head(head["key"], head["path"], leaves)
        self.check_entries(leaves, transactions)
        consent, mine = self.consents[file["claim_id"]], file["insurer"]
        self.case_id, names = self.state[consent]["case_id"], self.state[consent]["policy_ids"]
        self.policies = [name for name in names if self.state[f"policy/{name}"]["insurer"] == mine]
        life = [consent, f"claim/{file['claim_id']}", f"case/{self.case_id}"]
        life += [f"policy/{name}" for name in self.policies] + [f"payout/{name}" for name in self.payouts]
        life += [f"record/{name}" for name in self.cases.get(self.case_id, ())]
        need({*life} <= {head["key"] for head in file["heads"]}, 7, "a history is missing")

    def check_leaf(self, number: int, data: bytes, item: Json) -> str:
        """Inclusion under the anchor's log root (RFC 9162 section 2.1.3.2). Returns the leaf hash."""
        at, last = item["leaf_index"], self.anchor["log_size"] - 1
        need(at <= last, number, "range")
        known = leaf = sha(b"\0" + data)
        for part in map(unhex, [] + item["path"]):
            need(last > 0, number, "path too long")
            known = sha(b"\1" + part + known) if at & 1 or at == last else sha(b"\1" + known + part)
            while at == last and not at & 1 and at:
                at, last = at >> 1, last >> 1
            at, last = at >> 1, last >> 1
        need(last == 0 and known.hex() == self.anchor["log_root"], number, "log root")
        return leaf.hex()

    def check_transactions(self) -> dict[str, Json]:
        """Check 6. By transaction id, in the file's order."""
        keys, found = {item["key"]: item["value"] for item in self.file["carried"]} | self.state, dict[str, Json]()
        for tx in self.file["transactions"]:
            core = named("tx-core", {name: tx[name] for name in CORE.split()})
            signed = encode({"core_hash": core, "key_id": tx["key_id"], "endorsements": tx["endorsements"]})
            check_signature(6, keys, tx["author"], tx, tagged("tx-author", signed))
            for item in tx["endorsements"]:
                said = encode({"core_hash": core, "participant": item["participant"], "key_id": item["key_id"]})
                check_signature(6, keys, item["participant"], item, tagged("tx-endorsement", said))
            need(found.setdefault(tagged("tx-id", signed).hex(), tx) is tx, 6, "repeated")
        return found

    def check_head(self, name: str, path: Json, leaves: list[tuple[str, Json]]) -> None:
        """Check 7: an unbroken chain of versions, and the last of them in the state map."""
        closed(path, "depth bitmap siblings other")
        version, before = 0, None
        for leaf, write in [(leaf, one) for leaf, entry in leaves for one in entry["writes"] if one["key"] == name]:
            need((write["version"] - 1, write["prev"]) == (version, before) and write["digest"], 7, "gap")
            version, before = version + 1, leaf
        key, depth, given = tagged("state-key", name.encode()), path["depth"], [] + path["siblings"]
        bits, turns = "".join(f"{byte:08b}" for byte in unhex(path["bitmap"])), int.from_bytes(key, "big")
        need(depth <= 256 and len(bits) == (depth + 7) // 8 * 8 and path["other"] is None, 7, "form")
        need("1" not in bits[depth:] and bits[:depth][-1:] != "0" and "0" * 64 not in given, 7, "another spelling")
        known = sha(b"\0" + key + tagged("state-leaf", bytes.fromhex(before or "") + version.to_bytes(8, "big")))
        for at in range(depth - 1, -1, -1):
            other = unhex(given.pop()) if bits[at] == "1" else bytes(32)
            known = sha(b"\1" + (other + known if turns >> (255 - at) & 1 else known + other))
        need(version and not given and known.hex() == self.anchor["state_root"], 7, "state root")

    def check_entries(self, leaves: list[tuple[str, Json]], transactions: dict[str, Json]) -> None:
        """Check 8: every listed entry is a transaction's or the source of a carried value, and leaves none out."""
        carried, last = {(item["key"], item["version"]): item["value"] for item in self.file["carried"]}, Json()
        for leaf, entry in leaves:
            writes, tx = {write["key"]: write for write in entry["writes"]}, transactions.get(entry["tx_id"])
            if tx is None:
                places = [(key, write["version"]) for key, write in writes.items()]
                values = {place[0]: carried.pop(place) for place in places if place in carried}
                need(values and writes.keys() & last.keys() <= values.keys(), 8, "an entry that belongs to nothing")
                writes = {key: writes[key] for key in values}
            else:
                need(all(entry[name] == tx[name] for name in ("kind", "author", "key_id")), 6, "another transaction's")
                chained = [(one["version"] - 1, one["prev"]) == last.get(key, (0, None)) for key, one in writes.items()]
                need(all(chained) and (entry["code"] == "ok" or not writes), 8, "versions, or a refusal that writes")
                values = self.learn(tx["kind"], tx["author"], tx["body"], entry["op"]) if entry["code"] == "ok" else {}
            for key, value in values.items():
                need(writes[key]["digest"] == named("state-value", value), 8, f"another value of {key}")
            last |= {key: (write["version"], leaf) for key, write in writes.items()}
            self.state |= values
        need(not carried, 8, "a carried value without its entry")

    def learn(self, kind: str, author: str, body: Json, op: int) -> Json:
        """Facts of an accepted operation; returned are the new values that follow from its body alone."""
        if kind == "policy.commit":
            policy = body["policies"][op] | {"insurer": author}
            name, commit = policy.pop("policy_id"), policy.pop("account_v0_commit")
            account = {"policy_id": name, "version": 0, "commit": commit, "cause": f"policy/{name}", "lease": None}
            return {f"policy/{name}": policy, f"account/{policy['account_id']}": account}
        if kind == "consent.grant":
            signed = body["tokens"][op].rpartition(".")[0]
            said, name = urlsafe_b64decode(signed.split(".")[1] + "=="), tagged("consent-id", signed.encode()).hex()
            rest = ("v", "network", "basis", "scope", "nonce", "delegable")
            kept = {key: value for key, value in json.loads(said).items() if key not in rest} | {"revoked_ms": None}
            case_id, key = named("case-id", {"consent_id": name}), f"consent/{name}"
            self.consents[named("claim-id", {"case_id": case_id, "insurer": self.file["insurer"]})] = key
            return {key: kept | {"case_id": case_id}}
        if kind == "record.publish":
            item = body["records"][op]
            name = {"network": self.genesis["network"], "author": author, "commitment": item["commitment"]}
            self.records[named("record-id", name)] = item
        elif kind == "record.endorse" and op >= len(body["endorsements"]):
            item = body["completions"][op - len(body["endorsements"])]
            self.cases[item["case_id"]] = sorted(item["records"])
            pool = {"case_id": item["case_id"], "version": 0, "commit": item["pool_commit"]}
            return {f"pool/{named('pool-id', {'case_id': item['case_id']})}": pool}
        elif kind[:6] == "claim." and kind not in ("claim.accept", "claim.close"):  # other lives are not known here
            need(kind[6:9] == "adj" and body["claim_id"] == self.file["claim_id"] and not self.statements, 8, kind)
            self.before = dict(self.state)
            for said, signatures in ((one["statement"], one["signatures"]) for one in body["statements"]):
                for item in signatures:
                    check_signature(8, self.state, item["participant"], item, tagged("outcome-statement", encode(said)))
                self.statements[said["policy_id"]] = said
                name = {name: said[name] for name in ("claim_id", "policy_id", "attempt")}
                self.payouts[named("payout-id", name)] = {"policy_id": said["policy_id"]}
        elif kind in ("payout.order", "payout.settle"):
            self.payouts[body["payout_id"]] |= {name: body[name] for name in body if name.endswith("_commit")}
        return {}

    def check_openings(self) -> tuple[list[int], list[Any]]:
        """(which of 9 to 12 are shown, results). Openings without all that they go with are refused."""
        file, said, evidence = self.file, self.statements, self.cases.get(self.case_id, [])
        for item in file["records"]:
            need(commit_record(item) == self.records[item["record_id"]]["commitment"], 9, "another document")
        documents = {item["record_id"]: item["document"] for item in file["records"] if item["secret"] is not None}
        opened = {item["policy_id"]: item for item in file["policies"]}
        if not said or said.keys() != opened.keys() or file["payee"] is None or not documents.keys() >= {*evidence}:
            need(not opened and not file["payments"] and file["payee"] is None, 10, "openings without all they go with")
            return [9] * bool(file["records"]), []
        bills = [documents[name] for name in evidence if self.records[name]["record_type"] == "invoice"]
        latest = {self.records[name]["record_type"]: documents[name] for name in evidence}
        parts = [opened[name] for name in self.policies]
        case = self.build_case(latest["discharge"], bills, parts)
        results = self.run_program(case)
        (currency,) = {one.get("currency", "CNY") for one in (*bills, *(part["terms"] for part in parts))}
        dates = [bill.get("visit_date") or bill["issue_date"] for bill in bills]
        outcome = {"currency": currency, "event_date": case["stay"]["admission_date"] if case["stay"] else min(dates)}
        pool = self.before[f"pool/{named('pool-id', {'case_id': self.case_id})}"]
        for part, policy, result in zip(parts, case["policies"], results, strict=True):
            check_opening(10, "payee", file["payee"], said[part["policy_id"]]["payee_commit"], {})
            self.check_policy(part, pool, policy["product"], outcome | {"result": result})
            pool = {"commit": said[part["policy_id"]]["pool_commit_out"], "version": pool["version"] + 1}
        for item in file["payments"]:
            name, payout = item["payout_id"], self.payouts[item["payout_id"]]
            net = opened[payout["policy_id"]]["result"]["result"]["net_fen"]
            facts = {"payout_id": name, "amount_fen": net, "currency": currency}
            ordered = facts | {"end_to_end_id": b32encode(tagged("end-to-end-id", unhex(name))[:20]).decode()}
            for kind, expected in (("order", ordered), ("settlement", facts)):
                if item[kind] is not None:
                    check_opening(12, kind, item[kind], payout[f"{kind}_commit"], expected)
        paid = any(item["order"] or item["settlement"] for item in file["payments"])
        return [9, 10, 11] + [12] * paid, results

    def check_policy(self, part: Json, pool: Json, product: Json, outcome: Json) -> None:
        """Check 10 on state as the verdict found it; check 11: the outcome is what the statement commits to."""
        said, policy = self.statements[part["policy_id"]], self.before[f"policy/{part['policy_id']}"]
        account, result = self.before[f"account/{policy['account_id']}"], outcome["result"]
        used = {"account_id": policy["account_id"], "version": account["version"]}
        lost = {"pool_id": said["pool_id"], "version": pool["version"]}
        check_opening(10, "terms", part["terms"], policy["terms_commit"], {"policy_id": part["policy_id"]})
        check_opening(10, "account-version", part["account_in"], account["commit"], used)
        check_opening(10, "pool-version", part["pool_in"], pool["commit"], lost)
        need(named("tables", part["tables"]) == said["tables_hash"], 10, "tables")
        benefits = {code: one["type"] for plan in product["plans"].values() for code, one in plan["benefits"].items()}
        paid = [one["payable_fen"] for one in result["benefits"] if benefits[one["code"]].endswith("_expense")]
        used, lost = used | {"version": used["version"] + 1}, lost | {"version": lost["version"] + 1}
        outcome |= (own := {name: said[name] for name in ("claim_id", "policy_id", "attempt")})
        after, payout = part["pool_out"]["invoices"], named("payout-id", own)
        left = [one["loss_fen"] - sum(one["paid_fen"].values()) for one in after]
        lost |= {"invoices": after, "left_fen": max(0, sum(left))}
        day = {"event_date": outcome.pop("event_date")}
        check_opening(11, "result", part["result"], said["result_commit"], outcome, 0)
        check_opening(11, "event-date", part["event_date"], said["event_date_commit"], day, 0)
        check_opening(11, "account-version", part["account_out"], said["account_commit_out"], used, 2)
        check_opening(11, "pool-version", part["pool_out"], said["pool_commit_out"], lost, 0)
        new = [one["paid_fen"].pop(payout, 0) for one in after]
        need(after == part["pool_in"]["invoices"] and sum(new) == sum(paid), 11, "what was paid on the bills")
        need(all(fen >= 0 <= more or not more for fen, more in zip(left, new, strict=True)), 11, "more than a loss")

    def build_case(self, discharge: Json, bills: list[Json], parts: list[Json]) -> Json:
        """The program's input. What other insurers paid on each bill stands in the pool."""
        invoices = [fill(bill, INVOICE) for bill in bills]
        for one, pooled in zip(invoices, parts[0]["pool_in"]["invoices"], strict=True):
            whole = one["total_fen"] - one["pooled_fund_fen"] - one["other_payment_fen"]
            whole -= sum(payment["amount_fen"] for payment in one["third_party"])
            need(whole == pooled["loss_fen"], 10, "another loss of a bill")
            one["earlier_paid_fen"] = sum(pooled["paid_fen"].values())
            one["reverses"] = one["reverses"] if one["kind"] == "red" else None
        policies = [part["account_in"]["use"] | fill(part["terms"], POLICY) for part in parts]
        for policy, part in zip(policies, parts, strict=True):
            plans = {name: fill(plan, PLAN) for name, plan in part["tables"]["plans"].items()}
            policy["product"] = fill(part["tables"], PRODUCT) | {"plans": plans}
            for plan in plans.values():
                plan["benefits"] = {code: fill(one, BENEFIT) for code, one in plan["benefits"].items()}
                for one in plan["benefits"].values():
                    one["ratios"] = [RATIO | row for row in one["ratios"]]
                    one["deductible"] = {"type": "none", "amount_fen": 0} | one["deductible"]
        stay = {"discharge_date": None, "half_days": None} | discharge["stay"] if discharge.get("stay") else None
        claim = fill(discharge, CLAIM) | {"claim_no": self.file["claim_id"]}
        return {"claim": claim, "stay": stay, "invoices": invoices, "policies": policies}

    def run_program(self, case: Json) -> list[Json]:
        """The results of the program, with what the language level gives it."""
        (program,) = {statement["contract_hash"] for statement in self.statements.values()}
        source = next(item["source"] for item in self.genesis["programs"] if item["contract_hash"] == program)
        files, module = json.loads(source)["files"], starlark.Module()
        module.add_callable("mul", lambda one, other: one * other)
        module.add_callable("day_number", lambda text: date.fromisoformat(text).toordinal())
        module.add_callable("round_half_up", lambda part, whole: (2 * part + whole) // (2 * whole))
        tree = starlark.parse("program", "".join(files.values()), starlark.Dialect.standard())
        starlark.eval(module, tree, starlark.Globals.standard())
        outcome: Any = module.freeze().call("adjudicate", case, None)
        return list(outcome["results"])


def verify(data: bytes, trusted: bytes, aggregate: Aggregate) -> Json:
    """{insurer, height, shown, results}; `shown`: which of checks 9 to 12 the file discloses enough for."""
    try:
        dossier = Dossier(data, trusted, aggregate)
        shown, results = dossier.check_openings()
    except MALFORMED as error:
        raise Refused(1, f"malformed: {type(error).__name__}") from None
    return {"insurer": dossier.file["insurer"], "height": dossier.anchor["height"], "shown": shown, "results": results}

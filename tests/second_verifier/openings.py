"""Checks 9, 10 and 12 of the second verifier: what the file discloses is what was committed to, and what was paid."""

from base64 import b32encode
from typing import Any

from tests.second_verifier.basics import Json, ascend, encode, merkle_root, named, need, sha, tagged, unhex
from tests.second_verifier.rerun import rerun
from tests.second_verifier.rules import Ledger


def check_openings(file: Json, ledger: Ledger, claim: Json, case_id: str) -> tuple[list[int], list[Any]]:
    """Checks 9 to 12. Openings without all that they go with are refused."""
    state, opened, ids = ledger.state, file["policies"], [record["record_id"] for record in file["records"]]
    need(ascend(ids), 9, "order of records")
    for record in file["records"]:
        leaves = []
        for name in sorted(record["document"]):
            salt = tagged("field-salt", unhex(record["secret"]) + name.encode()).hex()
            field = {"name": name, "salt": salt, "value": record["document"][name]}
            leaves.append(sha(b"\0" + tagged("field", encode(field))))
        known = state[f"record/{record['record_id']}"]["commitment"]
        need(tagged("record-commitment", merkle_root(leaves)).hex() == known, 9, "another document")
    need(ascend(item["policy_id"] for item in opened), 10, "order of policies")
    statements = {said["policy_id"]: said for said in ledger.verdict[0]} if ledger.verdict else {}
    evidence = state.get(f"case/{case_id}", {"records": []})["records"]
    complete = statements.keys() == {item["policy_id"] for item in opened} and {*evidence} <= {*ids}
    if not (ledger.verdict and complete and file["payee"] is not None):
        need(not opened and not file["payments"] and file["payee"] is None, 10, "openings without all they go with")
        return [9] * bool(ids), []
    kinds = {name: state[f"record/{name}"]["record_type"] for name in evidence}
    records = [(kinds[item["record_id"]], item["document"]) for item in file["records"] if item["record_id"] in kinds]
    parts = sorted(opened, key=lambda item: claim["policies"].index(item["policy_id"]))
    _check_inputs(file["payee"], parts, statements, ledger.verdict[1], f"pool/{named('pool-id', {'case_id': case_id})}")
    source = {item["contract_hash"]: item["source"] for item in ledger.genesis["programs"]}
    programs = {said["contract_hash"] for said in statements.values()}
    need(len(programs) == 1, 11, "several programs")
    results, spent, currency, date = rerun(source[programs.pop()], file["claim_id"], records, parts)
    for part, result, paid in zip(parts, results, spent, strict=True):
        said, one = statements[part["policy_id"]], {name: part[name].get("salt") for name in OUTPUTS}
        before, left = part["account_in"], max(0, part["pool_in"]["left_fen"] - paid)
        names = {"claim_id": file["claim_id"], "policy_id": part["policy_id"], "attempt": said["attempt"]}
        expected = {"result": names | {"currency": currency, "result": result}, "event_date": {"event_date": date}}
        expected["account_out"] = {"account_id": before["account_id"], "version": before["version"] + 1}
        expected["account_out"]["use"] = part["account_out"].get("use")
        expected["pool_out"] = {"pool_id": said["pool_id"], "version": part["pool_in"]["version"] + 1, "left_fen": left}
        for name, (kind, field) in OUTPUTS.items():
            need(part[name] == expected[name] | {"salt": one[name]}, 11, f"another {name}")
            need(commit(kind, part[name]) == said[field], 11, f"the commitment of {name}")
    return [9, 10, 11, *_check_payments(file, ledger, claim["payouts"])], results


OUTPUTS = {
    "result": ("result", "result_commit"),
    "event_date": ("event-date", "event_date_commit"),
    "account_out": ("account-version", "account_commit_out"),
    "pool_out": ("pool-version", "pool_commit_out"),
}


def commit(kind: str, opening: Json) -> str:
    need(isinstance(opening.get("salt"), str) and len(opening["salt"]) == 64, 10, "an opening without salt")
    return named(f"commit-{kind}", opening)


def _check_inputs(payee: Json, parts: list[Json], statements: Json, before: Json, pool_key: str) -> None:
    pool, pool_id = dict(before[pool_key]), pool_key.partition("/")[2]
    need(len({str(part["terms"].get("policy_no")) for part in parts}) == len(parts), 10, "two policies of one number")
    for part in parts:
        said, policy = statements[part["policy_id"]], before[f"policy/{part['policy_id']}"]
        account = before[f"account/{policy['account_id']}"]
        need(commit("payee", payee) == said["payee_commit"], 10, "payee")
        need(commit("terms", part["terms"]) == policy["terms_commit"], 10, "terms")
        need(part["terms"].get("policy_id") == part["policy_id"], 10, "terms of another policy")
        need(named("tables", part["tables"]) == said["tables_hash"], 10, "tables")
        need(commit("account-version", part["account_in"]) == account["commit"], 10, "account")
        stands = (part["account_in"]["account_id"], part["account_in"]["version"])
        need(stands == (policy["account_id"], account["version"]), 10, "version of the account")
        need(commit("pool-version", part["pool_in"]) == pool["commit"], 10, "loss pool")
        need((part["pool_in"]["pool_id"], part["pool_in"]["version"]) == (pool_id, pool["version"]), 10, "loss pool")
        pool = {"commit": commit("pool-version", part["pool_out"]), "version": pool["version"] + 1}


def _check_payments(file: Json, ledger: Ledger, payouts: list[str]) -> list[int]:
    results = {part["policy_id"]: part["result"] for part in file["policies"]}
    need(ascend(item["payout_id"] for item in file["payments"]), 12, "order of payments")
    shown = False
    for item in file["payments"]:
        need(item["payout_id"] in payouts, 12, "a payment of another claim")
        payout = ledger.state[f"payout/{item['payout_id']}"]
        due = results[payout["policy_id"]]
        name = b32encode(tagged("end-to-end-id", bytes.fromhex(item["payout_id"]))[:20]).decode()
        facts = {"payout_id": item["payout_id"], "amount_fen": due["result"]["net_fen"], "currency": due["currency"]}
        for kind, more in (("order", {"end_to_end_id": name}), ("settlement", {})):
            if item[kind] is not None:
                shown = True
                need(commit(kind, item[kind]) == payout[f"{kind}_commit"], 12, f"another {kind}")
                need(item[kind] | facts | more == item[kind], 12, f"the {kind} pays another sum")
    return [12] * shown

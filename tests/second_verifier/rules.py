"""Check 8 of the second verifier: what the claim's operations meant, and the rules that they must keep."""

import json
from base64 import urlsafe_b64decode

from tests.second_verifier.basics import Json, ascend, encode, is_signed, merkle_root, named, need, sha, tagged, unhex


def registered(genesis: Json) -> Json:
    """`key/<id>` of every signing key of the genesis."""
    held = [(member["id"], key) for member in genesis["participants"] for key in member["signing_keys"]]
    ids = [tagged("key-id", bytes.fromhex(key["public_key"]))[:16].hex() for _, key in held]
    return {f"key/{name}": {"participant": who, **key} for name, (who, key) in zip(ids, held, strict=True)}


class Ledger:
    """Check 8: facts of the claim's accepted operations, from their signed bodies, and the rules they stand under."""

    def __init__(self, file: Json, genesis: Json, headers: dict[int, Json], transactions: dict[str, Json]) -> None:
        self.genesis, self.headers, self.transactions = genesis, headers, transactions
        self.mine, self.verdict, self.state = file["claim_id"], None, registered(genesis)
        self.groups = {member["id"]: member["control_group"] for member in genesis["participants"]}
        self.last: dict[str, tuple[int, str | None]] = {}
        self.carried = {(item["key"], item["version"]): item["value"] for item in file["carried"]}
        need(ascend((item["key"], item["version"]) for item in file["carried"]), 8, "order of carried values")

    def take(self, leaf: str, entry: Json) -> None:
        tx, written = self.transactions.get(entry["tx_id"]), {write["key"]: write for write in entry["writes"]}
        if tx is None:
            found = {key: self.carried.pop((key, write["version"]), None) for key, write in written.items()}
            written = {key: write for key, write in written.items() if found[key] is not None}
            need(written, 8, "an entry that belongs to nothing")
            need(all(written[key]["digest"] == named("state-value", found[key]) for key in written), 8, "another value")
            self.state |= {key: found[key] for key in written}
        else:
            need(
                all(entry[name] == tx[name] for name in ("kind", "author", "key_id")), 6, "another transaction's entry"
            )
            for key, write in written.items():
                expected = self.last.get(key, (0, None))
                need((write["version"] - 1, write["prev"]) == expected, 8, f"the version before of {key}")
            need(entry["code"] == "ok" or not written, 8, "a refused operation writes nothing")
            if entry["code"] == "ok":
                self.tx, self.author, self.written, self.height = tx, tx["author"], written, entry["height"]
                self.time = self.headers[self.height]["time_ms"]
                need(self.is_active(self.author, tx["key_id"]), 8, "the author's key is not active")
                getattr(self, tx["kind"].replace(".", "_"), lambda body, op: None)(tx["body"], entry["op"])
        self.last |= {key: (write["version"], leaf) for key, write in written.items()}

    def put(self, key: str, value: Json) -> None:
        need(self.written[key]["digest"] == named("state-value", value), 8, f"another value of {key}")
        self.state[key] = value

    def is_active(self, who: str, key_id: str) -> bool:
        key, freeze = self.state[f"key/{key_id}"], (self.state.get(f"freeze/{who}") or {}).get("from_height")
        until = self.height if key["until_height"] is None else key["until_height"]
        active = key["participant"] == who and key["from_height"] <= self.height <= until
        return bool(active) and (freeze is None or freeze > self.height)

    def consent(self, name: str, purpose: str = "") -> Json:
        consent: Json = self.state[f"consent/{name}"]
        need(consent["revoked_ms"] is None and consent["nbf_ms"] <= self.time < consent["exp_ms"], 8, "consent")
        need(not purpose or self.grants(consent, self.author, purpose), 8, f"no consent for {purpose}")
        return consent

    def grants(self, consent: Json, who: str, purpose: str) -> bool:
        return any(item["participant"] == who and purpose in item["purposes"] for item in consent["grantees"])

    def token(self, token: str, key: str = "") -> tuple[bytes, Json]:
        """Signing input and payload of a compact JWS by `key`, else by the key that it names."""
        payload, signature = (urlsafe_b64decode(part + "==") for part in token.split(".")[1:])
        signing_input, said = token.rpartition(".")[0].encode(), json.loads(payload)
        need(is_signed(key or said["key"], signing_input, signature), 8, "the signature of a token")
        return signing_input, said

    def policy_commit(self, body: Json, op: int) -> None:
        policy = dict(body["policies"][op])
        name, commit = policy.pop("policy_id"), policy.pop("account_v0_commit")
        self.put(f"policy/{name}", policy | {"insurer": self.author})
        account = {"policy_id": name, "version": 0, "commit": commit, "cause": f"policy/{name}", "lease": None}
        self.put(f"account/{policy['account_id']}", account)

    def consent_grant(self, body: Json, op: int) -> None:
        signing_input, said = self.token(body["tokens"][op])
        name = tagged("consent-id", signing_input).hex()
        kept = {key: said[key] for key in said if key not in ("v", "network", "basis", "scope", "nonce", "delegable")}
        self.put(f"consent/{name}", kept | {"case_id": named("case-id", {"consent_id": name}), "revoked_ms": None})

    def consent_revoke(self, body: Json, op: int) -> None:
        name = f"consent/{body['consent_id']}"
        self.put(name, self.state[name] | {"revoked_ms": self.time})

    def record_publish(self, body: Json, op: int) -> None:
        item, consent = body["records"][op], self.consent(body["records"][op]["consent_id"])
        need(self.author in consent["hospitals"] and consent["case_id"] == item["case_id"], 8, "hospital or case")
        name = {"network": self.tx["network"], "author": self.author, "commitment": item["commitment"]}
        self.state[f"record/{named('record-id', name)}"] = item
        for one in consent["grantees"]:
            name = named("claim-id", {"case_id": item["case_id"], "insurer": one["participant"]})
            if f"claim/{name}" in self.written:
                mine = [p for p in consent["policy_ids"] if self.state[f"policy/{p}"]["insurer"] == one["participant"]]
                claim = {"insurer": one["participant"], "policies": mine, "status": "REPORTED", "time": self.time}
                self.state[f"claim/{name}"] = claim | {"payouts": [], "consent_id": item["consent_id"]}

    def record_endorse(self, body: Json, op: int) -> None:
        done = [*body["endorsements"], *body["completions"]][op]
        if op < len(body["endorsements"]):
            record = self.state[f"record/{done['record_id']}"]
            need(record["commitment"] == done["commitment"], 8, "another record")
            self.state[f"record/{done['record_id']}"] = record | {"verdict": done["verdict"]}
            self.consent(record["consent_id"], "endorse")
            return
        names, case_id = sorted(done["records"]), done["case_id"]
        records = [self.state[f"record/{name}"] for name in names]
        need(all((one.get("verdict"), one["case_id"]) == ("accepted", case_id) for one in records), 8, "evidence")
        pairs = [{"record_id": name, "commitment": self.state[f"record/{name}"]["commitment"]} for name in names]
        root = merkle_root([sha(b"\0" + encode(pair)) for pair in pairs]).hex()
        self.state[f"case/{case_id}"] = {"records": names, "evidence_root": root, "time": self.time}
        pool = {"case_id": case_id, "version": 0, "commit": done["pool_commit"]}
        self.put(f"pool/{named('pool-id', {'case_id': case_id})}", pool)

    def claim_accept(self, body: Json, op: int) -> None:
        claim = self.state[f"claim/{body['claim_id']}"]
        need(claim["insurer"] == self.author and self.consent(claim["consent_id"]), 8, "another's claim")
        for lease in body["leases"]:
            key = f"account/{self.state['policy/' + lease['policy_id']]['account_id']}"
            need(self.state[key]["version"] == lease["account_version"], 8, "version of an account")
            if self.state[key]["lease"] != body["claim_id"]:
                self.put(key, self.state[key] | {"lease": body["claim_id"]})

    def claim_adjudicate(self, body: Json, op: int) -> None:
        name, claim, signed = body["claim_id"], self.state[f"claim/{body['claim_id']}"], body["statements"]
        need(claim["insurer"] == self.author and not claim["payouts"], 8, "another's claim, or decided before")
        need(sorted(one["statement"]["policy_id"] for one in signed) == sorted(claim["policies"]), 8, "statements")
        consent, before = self.consent(claim["consent_id"], "adjudicate"), dict(self.state)
        pool_id = named("pool-id", {"case_id": consent["case_id"]})
        pool, case = self.state[f"pool/{pool_id}"], self.state[f"case/{consent['case_id']}"]
        self._check_turn(claim["insurer"], consent, case["time"])
        for offset, said in enumerate(one["statement"] for one in signed):
            policy = self.state[f"policy/{said['policy_id']}"]
            account = self.state[f"account/{policy['account_id']}"]
            known = {"network": self.tx["network"], "claim_id": name, "attempt": 1, "consent_id": claim["consent_id"]}
            known |= {
                "evidence_root": case["evidence_root"],
                "payee_commit": consent["payee_commit"],
                "pool_id": pool_id,
            }
            known |= {"account_id": policy["account_id"], "account_version_in": account["version"]}
            known |= {"pool_version_in": pool["version"] + offset}
            need(said | known == said and account["lease"] == name, 8, "a statement and state differ")
            pinned = [p["contract_hash"] for p in self.genesis["programs"] if p["active_from_ms"] <= claim["time"]]
            product = named("product", {field: said[field] for field in ("contract_hash", "tables_hash")})
            need(said["contract_hash"] in pinned and product == policy["product_hash"], 8, "program or tables")
            need(0 <= said["valid_until"] - self.time <= 864_000_000, 8, "validity")
            need(consent["mailbox_key"] in [one["to"] for one in said["delivered"]], 8, "delivery")
            self._check_signers(signed[offset], policy, consent)
            moved = {"version": account["version"] + 1, "commit": said["account_commit_out"], "lease": None}
            self.put(f"account/{policy['account_id']}", account | moved | {"cause": f"claim/{name}"})
            payout = {"claim_id": name, "policy_id": said["policy_id"], "attempt": 1}
            claim["payouts"].append(named("payout-id", payout))
            self.state[f"payout/{claim['payouts'][-1]}"] = payout | {"order_commit": None, "settlement_commit": None}
        left = {"version": pool["version"] + len(signed), "commit": signed[-1]["statement"]["pool_commit_out"]}
        self.put(f"pool/{pool_id}", pool | left)
        self.verdict = ([one["statement"] for one in signed], before) if name == self.mine else self.verdict

    def _check_turn(self, insurer: str, consent: Json, turn: int) -> None:
        """Insurers decide in the order of ranks; whose clock ran out loses its turn."""
        ranks = {one["participant"]: one["rank"] for one in consent["grantees"] if one["rank"] is not None}
        for who in sorted([who for who in ranks if ranks[who] < ranks[insurer]], key=ranks.__getitem__):
            other = self.state[f"claim/{named('claim-id', {'case_id': consent['case_id'], 'insurer': who})}"]
            deadline, decided = turn + self.genesis["parameters"]["decide_ms"], other.get("decided_ms")
            need(decided is not None or self.time > deadline, 8, "another insurer decides first")
            turn = max(turn, min(deadline, deadline if decided is None else decided))

    def _check_signers(self, signed: Json, policy: Json, consent: Json) -> None:
        """The insurer, and enough listed co-adjudicators outside its control group whom the customer named."""
        active, message = set(), tagged("outcome-statement", encode(signed["statement"]))
        for item in signed["signatures"]:
            key = self.state[f"key/{item['key_id']}"]["public_key"]
            need(is_signed(key, message, unhex(item["signature"])), 8, "the signature of a statement")
            active |= {item["participant"]} if self.is_active(item["participant"], item["key_id"]) else set()
        heard = [n for n in active & {*policy["co_adjudicators"]} if self.groups[n] != self.groups[self.author]]
        counted = sum(self.grants(consent, name, "co-adjudicate") for name in heard)
        need(self.author in active and counted >= policy["threshold"], 8, "too few signed a statement")

    def payout_order(self, body: Json, op: int) -> None:
        self.state[f"payout/{body['payout_id']}"] |= {name: body[name] for name in body if name.endswith("_commit")}

    payout_settle = payout_order

    def payout_ack(self, body: Json, op: int) -> None:
        said = json.loads(urlsafe_b64decode(body["token"].split(".")[1] + "=="))
        payout = self.state[f"payout/{said['payout_id']}"]
        consent = self.state[f"consent/{self.state['claim/' + payout['claim_id']]['consent_id']}"]
        self.token(body["token"], consent["key"])
        need(said["settlement_commit"] == payout["settlement_commit"], 8, "another settlement was acknowledged")

"""A hospital, a commission, two insurers and a TPA with their automatic roles, on a ledger in memory, without sockets.

Every party has a vault on disk (without waiting for it), real keys and the standard claim program in this process.
`settle` lets everybody work until nothing moves; with `forgetful=True` every node is thrown away and made anew between
any two rounds, so that nothing can depend on memory. Times are the blocks'.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from contracts.case import Case, encode_case
from contracts.cases.evidence import date_of
from contracts.commitments import commit
from contracts.execution import ChainState
from contracts.genesis import Genesis, Parameters
from contracts.machine.bundle import ProgramBundle, encode_bundle
from contracts.machine.evaluation import LoadedProgram, load_program
from contracts.risk.parameters import Parameters as RiskParameters
from contracts.states import ClaimState, read_claim, read_payout
from ledger.crypto.keys import KeyPair, key_from_secret
from ledger.encoding import decode
from ledger.errors import StoreError
from ledger.state import Versioned
from ledger.transactions import SignedTransaction, decode_transaction
from node.agents.bank import DemoBank
from node.agents.house import House
from node.agents.ports import Ports
from node.agents.programs import read_bundle
from node.machine.examining import Texts, build_report, check_with
from node.machine.programs import standard_program
from node.outcomes import FinalBlock, TransactionOutcome
from node.peers.errors import PeerError
from node.vault import Vault
from node.vault.delivery import Delivery
from node.wallet import ConsentWallet, make_acknowledgement, make_consent, open_mail, seal_payee, standard_grantees
from tests.support.network_builder import (
    MEMBERS,
    YEAR_MS,
    Network,
    make_bytes,
    make_genesis,
    make_invoice_key,
    make_participant,
    make_program,
)

REGION = "CN-33"
YEARS = (2021, 2022, 2023)
MAX_TICKS = 400
_programs: dict[str, LoadedProgram] = {}


class LocalMachine:
    """The claim machine in this process."""

    async def explain(self, source: str, case: Case) -> tuple[Any, list[Any]]:
        if source not in _programs:
            _programs[source] = load_program(read_bundle(source))
        found = _programs[source].explain(encode_case(case))
        return decode(found.result.encode()), decode((found.trace or "[]").encode())

    async def examine(self, texts: Texts) -> dict[str, Any]:
        def load(bundle: ProgramBundle) -> Callable[[str], str]:
            source = encode_bundle(bundle).decode()
            program = _programs.get(source) or _programs.setdefault(source, load_program(bundle))
            return lambda case_text: program.run(case_text).result

        return build_report(texts, check_with(load))


@dataclass(frozen=True)
class TestKeys:
    """A member's keys, as node.identity gives them."""

    __test__ = False
    participant: str
    signing: KeyPair
    envelope: KeyPair
    key_id: str
    invoice: dict[tuple[str, int], KeyPair]


class LinkedPeers:
    """Requests go straight to the other node's handlers. `down` names nodes that cannot be reached."""

    def __init__(self, me: str, exchange: dict[str, dict[str, Any]], down: set[str]) -> None:
        self._me = me
        self._exchange = exchange
        self._down = down
        exchange[me] = {}

    def register(self, method: str, handler: Any) -> None:
        self._exchange[self._me][method] = handler

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        if to in self._down or to not in self._exchange:
            raise PeerError("unreachable", f"no link to {to}")
        answer: bytes = await self._exchange[to][method](self._me, payload)
        return answer


class MemoryLedger:
    """The test network as an agent's ledger."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self._name = name

    @property
    def final(self) -> ChainState:
        return self._world.network.state

    def whole_above(self) -> int:
        return self._world.began.get(self._name, 0)

    def state_family(self, family: str) -> list[tuple[str, Versioned]]:
        return [(key, item) for key, item in self._world.network.store.items() if key.startswith(f"{family}/")]

    def block_at(self, height: int) -> FinalBlock:
        if height <= self.whole_above():
            raise StoreError("pruned", f"block {height} is not kept here")
        block = self._world.network.blocks[height - 1]
        header = block.block.header
        return FinalBlock(height, block.header_hash, header, block.encoded, block.receipts, None)

    def transaction(self, tx_id: str) -> TransactionOutcome | None:
        found = self._world.outcomes.get(tx_id)
        if found is not None and found.height <= self.whole_above():
            raise StoreError("pruned", f"block {found.height} is not kept here")
        return found

    async def submit_bytes(self, data: bytes) -> str:
        signed = decode_transaction(data)
        if signed.tx_id not in self._world.outcomes:
            self._world.pending.setdefault(signed.tx_id, signed)
        return signed.tx_id


def envelope_pair(name: str) -> KeyPair:
    return key_from_secret("x25519", make_bytes(f"envelope secret {name}"))


def invoice_pair(year: int) -> KeyPair:
    from ledger.crypto import bls

    return key_from_secret("bls12-381", bls.secret_key_from_seed(make_bytes(f"invoice {REGION} {year}")))


@lru_cache(maxsize=4)
def build_genesis(parameters: Parameters | None = None) -> Genesis:
    """The standard network with envelope keys, the commission's invoice keys and the standard program."""
    members = []
    for name in sorted(MEMBERS):
        keys = tuple(make_invoice_key(REGION, year) for year in YEARS) if name == "commission" else ()
        member = make_participant(name, invoice_keys=keys)
        members.append(structs.replace(member, envelope_key=envelope_pair(name).public.hex()))
    return make_genesis(
        participants=members, programs=[make_program(standard_program())], parameters=parameters or Parameters()
    )


@dataclass
class World:
    """The whole network. `bank_open` False: the bank does not answer."""

    folder: Path
    parameters: Parameters | None = None
    parties: tuple[str, ...] = ("hospital", "commission", "insurer", "insurer-two", "tpa")
    down: set[str] = field(default_factory=set)
    bank_open: bool = True
    forgetful: bool = False
    risk: RiskParameters | None = None
    """What insurers grade with; None: nothing is graded."""
    make_bank: Callable[["World", str, Vault], Any] | None = None
    """A bank of its own for each party, made anew with the party; else the demonstration bank."""

    def __post_init__(self) -> None:
        self.network = Network(build_genesis(self.parameters))
        self.pending: dict[str, SignedTransaction] = {}
        self.outcomes: dict[str, TransactionOutcome] = {}
        self.exchange: dict[str, dict[str, Any]] = {}
        self.clock_ms = self.network.now_ms
        self.houses: dict[str, House] = {}
        self.began: dict[str, int] = {}
        """The height of the snapshot that a party's ledger began with: no block up to it is there."""
        self._draws = itertools.count()
        for name in self.parties:
            self.houses[name] = self._build(name)

    # --- nodes

    def _chance(self, size: int) -> bytes:
        return make_bytes(f"draw {next(self._draws)}", size)

    def _build(self, name: str) -> House:
        member = self.network.members[name]
        keys = TestKeys(
            participant=name,
            signing=key_from_secret("ed25519", member.seed),
            envelope=envelope_pair(name),
            key_id=member.key_id,
            invoice={(REGION, year): invoice_pair(year) for year in YEARS} if name == "commission" else {},
        )
        vault = Vault(self.folder / name, make_bytes(f"vault {name}"), now_ms=lambda: self.clock_ms, durable=False)
        delivery = Delivery(name, vault, LinkedPeers(name, self.exchange, self.down), lambda: self.network.state)
        delivery.register()
        ports = Ports(
            keys=keys,
            ledger=MemoryLedger(self, name),
            vault=vault,
            delivery=delivery,
            machine=LocalMachine(),
            bank=self.make_bank(self, name, vault) if self.make_bank else WorldBank(self),
            now_ms=lambda: self.clock_ms,
            chance=self._chance,
            risk=self.risk,
        )
        return House(ports, MEMBERS[name])

    def forget(self, name: str) -> None:
        """Throw a node away and make it anew from its disk."""
        self.houses[name].ports.vault.close()
        self.houses[name] = self._build(name)
        self.houses[name].start()

    def join(self, name: str) -> None:
        """The node lost its ledger and began again with a snapshot of this height; its vault was kept."""
        self.began[name] = self.network.state.height
        self.forget(name)

    # --- time

    async def tick(self) -> int:
        """One round of everybody, then a block with what they submitted."""
        moved = 0
        for name in self.parties:
            if name in self.down:
                continue
            if self.forgetful:
                self.forget(name)
            moved += await self.houses[name].round()
        return moved + self.make_block()

    def make_block(self) -> int:
        """What is pending, as a final block."""
        taken = list(self.pending.values())
        if not taken:
            return 0
        self.pending.clear()
        block = self.network.run(*taken)
        for index, receipt in enumerate(block.receipts):
            header = block.block.header
            outcome = TransactionOutcome(receipt.tx_id, header.height, index, header.time_ms, receipt)
            self.outcomes[receipt.tx_id] = outcome
        self.clock_ms = max(self.clock_ms, self.network.now_ms)
        return len(taken)

    async def settle(self) -> None:
        """Let everybody work until nothing moves."""
        for _ in range(MAX_TICKS):
            moved = await self.tick()
            moved += await self.tick() if not moved else 0
            if not moved:
                return
        raise AssertionError("the world does not come to rest")

    async def wait(self, milliseconds: int) -> None:
        """Let time pass, then settle."""
        self.network.wait(milliseconds)
        self.clock_ms += milliseconds
        await self.settle()

    # --- the journey

    async def commit_policy(self, insurer: str = "insurer", **changes: Any) -> dict[str, Any]:
        """A policy of the standard product; returns its certificate."""
        policy = standard_policy(insurer) | changes
        _, certificates = await self.houses[insurer].commit_policies([policy])
        await self.settle()
        return certificates[0]

    async def grant(self, *certificates: dict[str, Any], payee: bool = True) -> ConsentWallet:
        """A customer's consent for these policies, relayed by the hospital."""
        insurers = list(dict.fromkeys(item["insurer"] for item in certificates))
        now = self.network.now_ms
        wallet = make_consent(
            network=self.network.genesis.network,
            hospitals=["hospital"],
            grantees=standard_grantees(insurers, ["commission"], ["tpa"]),
            policy_ids=[item["policy_id"] for item in certificates],
            payee={"name": "Zhang San", "account": "payee-account"},
            nbf_ms=now,
            exp_ms=now + YEAR_MS,
            chance=self._chance,
        )
        relay = self.houses["hospital"]
        await relay.relay_token(wallet.token)
        if payee:
            keys = [envelope_pair(name).public.hex() for name in insurers]
            relay.mailroom.relay_payee(wallet.token, seal_payee(wallet, keys))
        await self.settle()
        return wallet

    async def publish(self, wallet: ConsentWallet, *documents: tuple[str, dict[str, Any]]) -> list[str]:
        """Publish at the hospital and settle; returns the record ids."""
        _, record_ids = await self.houses["hospital"].publish(wallet.consent_id, list(documents))
        await self.settle()
        return record_ids

    async def acknowledge(self, wallet: ConsentWallet) -> int:
        """The customer's software: opens its mail at the hospital and acknowledges settlements. Returns how many."""
        relay, sent = self.houses["hospital"], 0
        for item in relay.mailroom.mail_of(wallet.consent_id):
            mail = open_mail(wallet, bytes.fromhex(item["envelope"]))
            if mail.kind != "settlement":
                continue
            payout = read_payout(self.network.state.read, mail.subject)
            assert payout is not None
            if payout.status == "SETTLED_CLAIMED" and payout.settlement_commit == commit("settlement", mail.content):
                token = make_acknowledgement(wallet, mail.subject, payout.settlement_commit, mail.content, self._chance)
                await relay.relay_token(token)
                sent += 1
        await self.settle()
        return sent

    def claim_id(self, wallet: ConsentWallet, insurer: str = "insurer") -> str:
        from contracts.identifiers import derive_claim_id

        return derive_claim_id(wallet.case_id, insurer)

    def claim(self, wallet: ConsentWallet, insurer: str = "insurer") -> ClaimState:
        found = read_claim(self.network.state.read, self.claim_id(wallet, insurer))
        assert found is not None
        return found

    def detail(self, wallet: ConsentWallet, insurer: str = "insurer") -> dict[str, Any]:
        """The insurer's private view."""
        agent = self.houses[insurer].insurer
        assert agent is not None
        return agent.claim_detail(self.claim_id(wallet, insurer))

    def decisions(self, wallet: ConsentWallet) -> list[dict[str, Any]]:
        """What the customer can open at the hospital."""
        mail = self.houses["hospital"].mailroom.mail_of(wallet.consent_id)
        opened = [open_mail(wallet, bytes.fromhex(item["envelope"])) for item in mail]
        return [item.content for item in opened if item.kind == "decision"]


class WorldBank:
    """The demonstration bank, which can fall silent."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bank = DemoBank(lambda: date_of(world.network.now_ms, 480))

    def check_payee(self, payee: Any) -> Any:
        return self._bank.check_payee(payee)

    async def pay(self, order: Any) -> Any:
        return await self._bank.pay(order) if self._world.bank_open else None


# --- documents -------------------------------------------------------------------------------------------------


def standard_product(**changes: Any) -> dict[str, Any]:
    """In-patient expenses at 80 % within the catalogue, an allowance of 100.00 a day, waiting periods."""
    ratios = [{"social_settled": True, "ratio_bp": 8000}, {"ratio_bp": 6000}]
    expense = {
        "type": "inpatient_expense",
        "scope": "social_only",
        "ratios": ratios,
        "deductible": {"type": "none"},
        "waiting_days": 30,
    }
    allowance = {"type": "daily_allowance", "daily_fen": 10_000, "waiting_days": 30}
    plan = {"benefits": {"IP": expense, "AL": allowance}}
    return {"product_code": "TEST", "benefit_order": ["IP", "AL"], "plans": {"STD": plan}} | changes


def standard_policy(insurer: str) -> dict[str, Any]:
    """A policy of 2021 and 2022, in force since 2020."""
    years = (2020, 2021, 2022)
    periods = [{"id": str(year), "start": f"{year}-01-01", "end": f"{year}-12-31", "plan": "STD"} for year in years]
    terms = {
        "policy_no": f"P-{insurer}",
        "insurer": insurer,
        "relation": "employee",
        "first_effective": "2020-01-01",
        "periods": periods,
    }
    return {
        "terms": terms,
        "product": standard_product(),
        "co_adjudicators": ["tpa"],
        "escalation_to": "commission",
    }


def admission(date: str = "2021-12-03") -> tuple[str, dict[str, Any]]:
    return "admission", {"patient": {"name": "测试甲"}, "admission_date": date, "department": "妇科"}


def discharge(first: str = "2021-12-03", last: str = "2021-12-06", **changes: Any) -> tuple[str, dict[str, Any]]:
    stay = {"admission_date": first, "discharge_date": last, "half_days": None, "institution_level": "3"}
    document = {"patient": {"name": "测试甲"}, "diagnoses": ["N84.000"], "first_onset": first, "stay": stay}
    return "discharge", document | {"invoice_count": 1} | changes


def invoice(
    number: int = 1, total: int = 205_000, first: str = "2021-12-03", last: str = "2021-12-06", **changes: Any
) -> tuple[str, dict[str, Any]]:
    """A sound in-patient e-invoice: a third from the pooled fund, 50.00 outside the catalogue."""
    pooled, self_funded = total // 3, 5_000
    rest = total - pooled
    document = {
        "type": "inpatient",
        "kind": "blue",
        "code": "33060121",
        "number": f"{number:010d}",
        "check_code": "0f1e2d",
        "issue_date": last,
        "admission_date": first,
        "discharge_date": last,
        "inpatient_no": "ZY-1",
        "institution_name": "测试医院",
        "institution_type": "综合医院",
        "institution_level": "3",
        "payer_name": "测试甲",
        "insurance_type": "employee",
        "insurance_no": "T-1",
        "total_fen": total,
        "pooled_fund_fen": pooled,
        "other_payment_fen": 0,
        "account_own_fen": 0,
        "account_mutual_fen": 0,
        "cash_fen": rest,
        "self_pay_fen": rest - self_funded,
        "class_copay_fen": 0,
        "self_funded_fen": self_funded,
        "items": [
            {"name": "手术费", "code": "S1", "class": "A", "self_ratio_bp": 0, "amount_fen": total - self_funded},
            {"name": "膳食", "code": "C1", "class": "C", "self_ratio_bp": 10_000, "amount_fen": self_funded},
        ],
    }
    return "invoice", document | changes


def charges(total: int = 205_000) -> tuple[str, dict[str, Any]]:
    return "charges", {"items": [{"name": "手术费", "amount_fen": total}]}


def plain(value: Any) -> Any:
    """A struct as JSON values."""
    return msgspec.to_builtins(value)

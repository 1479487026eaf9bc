"""Shadow mode: each claim that is decided from now on is also run under a version that is tried, without any effect.

Knows past claims and trials. Must not know how claims are decided. Subjects are claim ids. Must always hold: it begins
when the ledger holds the decision, in work items of its own, so no claim waits for it or fails with it; the only thing
it writes is `shadow/<claim_id>` in the vault, which no other agent reads.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

import structlog

from contracts.machine.errors import MachineError
from contracts.products.backtest import Difference, summarise
from contracts.receipts import Event
from contracts.states import read_claim
from ledger.encoding import convert
from node.agents.agent import Agent, Step, done, wait
from node.agents.candidates import Candidate, CandidateRefused, build_candidate, find_line, find_texts
from node.agents.pastclaims import PastClaims
from node.agents.ports import Ports
from node.agents.trials import Trials, Tried
from node.errors import describe_fault
from node.machine.examining import Texts
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

SETTING: Final = "shadow-setting"
MAX_SUMMED: Final = 10_000
"""Results that a summary reads, the latest; each is decrypted."""
PAGE: Final = 500
_log = structlog.get_logger()


class ShadowAgent(Agent):
    """Runs the version that is set beside the one in force."""

    name: ClassVar[str] = "shadow"

    def __init__(self, ports: Ports, past: PastClaims, tell: Callable[[], None]) -> None:
        """`tell` is called when a run is over and the next may begin."""
        super().__init__(ports)
        self._past = past
        self._tell = tell
        self._trials: Trials | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_on = self.setting() is not None

    # --- the switch

    def setting(self) -> dict[str, Any] | None:
        """What is set: release, product_hash, product_code, title, since_height, texts, line; None while it is off."""
        found: dict[str, Any] | None = self.vault.get_secret(SETTING)
        return found

    async def switch(self, identifier: str | None) -> None:
        """Try this proposal or release from the next decision on; None ends it. Raises CandidateRefused."""
        if identifier is None:
            self.vault.delete_secret(SETTING)
            self._is_on = False
            return
        read, height = self.ports.ledger.final.read, self.ports.ledger.final.height
        texts, follows = find_texts(read, identifier)
        line = find_line(read, follows)
        release = (await asyncio.to_thread(build_candidate, texts, line)).release
        value = {
            "release": identifier,
            "product_hash": release.product_hash,
            "product_code": release.product_code,
            "title": release.title,
            "since_height": height,
            "texts": {"program": texts.program, "tables": texts.tables, "examples": texts.examples},
            "line": list(line),
        }
        with self.vault.transaction():
            self.vault.put_secret(SETTING, value)
            if not self._is_on:
                self.vault.work.move_cursor(self.name, height)
        self._is_on = True

    # --- the agent

    def catch_up(self) -> bool:
        """Nothing to look for while nothing is set: a new agent must not read the whole chain."""
        return super().catch_up() if self._is_on else False

    def interests(self, event: Event) -> Iterable[str]:
        if event.topic != "claim.decided":
            return ()
        claim = read_claim(self.ports.ledger.final.read, event.subject)
        own = claim is not None and claim.insurer == self.ports.me
        held = own or self.vault.get_secret(f"signed/{event.subject}") is not None
        return (event.subject,) if held else ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        return ()

    async def step(self, item: WorkItem) -> Step:
        setting = self.setting()
        if setting is None:
            return done("off")
        kept = self.result(item.subject)
        if kept is not None and kept["product_hash"] == setting["product_hash"]:
            return done("compared")
        if self._running is None:
            loop = asyncio.get_running_loop()
            self._running = loop.create_task(self._compare(item.subject, setting), name="shadow")
        return wait("COMPARING")

    async def close(self) -> None:
        """End what runs; the next start begins it again."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._trials is not None:
            await self._trials.close()
            self._trials = None

    async def finish(self) -> None:
        """Wait for the run that is under way."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    # --- what it found

    def result(self, claim_id: str) -> dict[str, Any] | None:
        """{product_hash, code, detail, policies}; None if the claim was not run."""
        found: dict[str, Any] | None = self.vault.get_secret(f"shadow/{claim_id}")
        return found

    def list_results(self, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """{position, claim_id, status, ...result} behind `after`; status `same`, `changed`, `failed` or `skipped`."""
        rows = self.vault.work.listed(self.name, after=after, limit=limit)
        return [
            {"position": place, "claim_id": claim_id, "status": status, **(self.result(claim_id) or {})}
            for place, claim_id, status in rows
        ]

    async def view(self, after: int, limit: int, worst: int) -> dict[str, Any]:
        """{setting (without texts), summary, items, next, more}."""
        items = self.list_results(after=after, limit=limit)
        setting = self.setting()
        shown = None if setting is None else {name: part for name, part in setting.items() if name != "texts"}
        position = items[-1]["position"] if items else after
        more = bool(items) and bool(self.vault.work.listed(self.name, after=position, limit=1))
        return {
            "setting": shown,
            "summary": await self.summary(worst),
            "items": items,
            "next": position,
            "more": more,
        }

    async def summary(self, worst: int) -> dict[str, Any]:
        """The sum over the results of the version that is set, and how many of its runs failed or did not apply."""
        setting = self.setting()
        wanted = setting["product_hash"] if setting else None
        differences: list[Difference] = []
        counts = {"failed": 0, "skipped": 0}
        after, seen = 0, 0
        while wanted is not None and seen < MAX_SUMMED and (rows := self.list_results(after=after, limit=PAGE)):
            after, seen = rows[-1]["position"], seen + len(rows)
            for row in rows:
                if row.get("product_hash") != wanted:
                    continue
                if row["status"] in counts:
                    counts[row["status"]] += 1
                differences += [_read_difference(item) for item in row["policies"]]
            await asyncio.sleep(0)
        return {**counts, **summarise(differences, worst)}

    # --- one run

    async def _compare(self, claim_id: str, setting: dict[str, Any]) -> None:
        """Whatever happens, a result is kept, so that one claim is run once."""
        try:
            tried = await self._try(claim_id, setting)
        except (CandidateRefused, MachineError) as error:
            tried = Tried(claim_id, code=error.code, detail=error.detail)
        except Exception as error:  # a trial beside the decision: whatever it meets, the claim is not touched
            _log.error("shadow.fault", claim=claim_id, fault=describe_fault(error))
            tried = Tried(claim_id, code="internal")
        finally:
            self._running = None
        with self.vault.transaction():
            self._keep(claim_id, setting["product_hash"], tried)
            for item in self.vault.work.open_items(self.name):
                self.vault.work.nudge(self.name, item.subject)
        self._tell()

    async def _try(self, claim_id: str, setting: dict[str, Any]) -> Tried | None:
        """None where the version would not decide this claim, or nothing is held of it."""
        package = self._past.load(claim_id)
        if isinstance(package, str):
            return None
        trials = await self._trials_of(setting)
        chosen = trials.candidate.chosen(package, None)
        return await trials.run(package, chosen, {}) if chosen else None

    async def _trials_of(self, setting: dict[str, Any]) -> Trials:
        """The worker of this version; that of another is ended."""
        held = self._trials
        if held is not None and held.candidate.release.product_hash == setting["product_hash"]:
            return held
        if held is not None:
            await held.close()
            self._trials = None
        self._trials = Trials(await asyncio.to_thread(_candidate, setting))
        return self._trials

    def _keep(self, claim_id: str, product_hash: str, tried: Tried | None) -> None:
        changed = tried is not None and any(item.is_changed for item in tried.differences)
        status = "skipped" if tried is None else "failed" if tried.code else "changed" if changed else "same"
        value = {
            "product_hash": product_hash,
            "code": tried.code if tried else "",
            "detail": tried.detail if tried else "",
            "policies": [item.as_dict() for item in tried.differences] if tried else [],
        }
        self.vault.put_secret(f"shadow/{claim_id}", value)
        self.vault.work.list_as(self.name, claim_id, status)


def _candidate(setting: dict[str, Any]) -> Candidate:
    return build_candidate(Texts(**setting["texts"], title=setting["title"]), tuple(setting["line"]))


def _read_difference(value: dict[str, Any]) -> Difference:
    fields = {name: value[name] for name in Difference.__dataclass_fields__}
    return convert(fields, Difference)

"""One founding case at an insurer whose bank is spoken to in files, in memory, from consent to the order."""

from pathlib import Path
from typing import Any

from contracts.states import PayoutState, read_payout
from node.agents.bankdesk import BankDesk
from node.agents.bankfolder import BankFolder, open_bank
from node.config import BankConfig
from node.interop.iso20022.answers import read_answers
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice

CONFIG = BankConfig(kind="file", name="First Insurer", account="DE89370400440532013000", agent_bic="COBADEFFXXX")
AMOUNT = "1353.34"


class BankStory:
    """One founding case at an insurer whose bank takes files."""

    def __init__(self, folder: Path, *, forgetful: bool = False) -> None:
        self.folder = folder
        self.folders: dict[str, BankFolder] = {}
        self.world = World(folder / "world", make_bank=self._make_bank, forgetful=forgetful)
        self.wallet: ConsentWallet

    def _make_bank(self, world: World, name: str, vault: Any) -> Any:
        found = open_bank(self.folder / name, CONFIG, vault, lambda: world.network.state, lambda: world.clock_ms)
        assert found is not None
        self.folders[name] = found
        return found.bank

    @property
    def desk(self) -> BankDesk:
        house = self.world.houses["insurer"]
        return BankDesk(house.ports, house.insurer, self.folders["insurer"])

    @property
    def payout_id(self) -> str:
        return self.world.claim(self.wallet).payouts[0]

    @property
    def payout(self) -> PayoutState:
        found = read_payout(self.world.network.state.read, self.payout_id)
        assert found is not None
        return found

    @property
    def waiting_for(self) -> str | None:
        code: str | None = self.world.detail(self.wallet)["waiting_for"]
        return code

    async def begin(self) -> None:
        """From consent to the order on the ledger."""
        certificate = await self.world.commit_policy()
        self.wallet = await self.world.grant(certificate)
        await self.world.publish(self.wallet, admission())
        await self.world.publish(self.wallet, discharge(), invoice(), charges())

    def export(self) -> tuple[str, str, str]:
        """(file name without suffix, EndToEndId, InstrId) of a batch with one order."""
        written = self.desk.export()
        assert written is not None
        text = written.data.decode()
        return written.message_id, text_of(text, "EndToEndId"), text_of(text, "InstrId")

    async def bring(self, data: bytes) -> dict[str, Any]:
        taken = self.desk.take(read_answers(data))
        await self.world.settle()
        return taken


def text_of(text: str, tag: str) -> str:
    return text.split(f"<{tag}>")[1].split("<")[0]

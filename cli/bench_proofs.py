"""A network's keys and genesis made for one measurement of proofs, and nothing left behind.

Knows folders and keys; the ledger and the figures are node.bench's.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cli.bench_network import progress
from cli.network_config import InvoiceKeys, NetworkConfig, ParticipantConfig
from cli.network_setup import create_network
from contracts.genesis import Role
from node.bench.proofs import Seat, SyntheticLedger
from node.identity import load_identity

NETWORK: Final = "bench-proofs.claimnode"
REGION: Final = "CN-33"
YEAR: Final = 2024
MEMBERS: Final[dict[str, Role]] = {
    "commission-1": "commission",
    "hospital-2": "hospital",
    "insurer-3": "insurer",
    "tpa-4": "tpa",
}


def measure_proofs(records: int, folder: Path | None, *, join: bool = False) -> dict[str, Any]:
    """Build a ledger of so many records, restart it, make and verify proofs. Gives the figures.

    `join`: make a snapshot, too, and a second node's store from it, which needs as much space again twice.

    `folder`: where the ledger is built, which needs about 2.5 kB a record; a temporary one by default.
    """
    with tempfile.TemporaryDirectory(prefix="claimnode-bench-", dir=folder) as scratch, progress() as tell:
        net = Path(scratch) / "net"
        genesis = create_network(_describe(), net, base_ms=None)
        figures = _measure(net, genesis, Path(scratch) / "ledger", records, tell, join=join)
    return {"records": records} | figures


def _measure(
    net: Path, genesis: bytes, folder: Path, records: int, tell: Callable[[str, float], None], *, join: bool
) -> dict[str, Any]:
    folder.mkdir()
    identities = {name: load_identity(net / name, name) for name in MEMBERS}
    seats = [Seat(name, item.finality.secret) for name, item in identities.items() if item.finality is not None]
    invoice_key = identities["commission-1"].invoice[REGION, YEAR].secret
    ledger = SyntheticLedger(folder, genesis, seats, invoice_key, "hospital-2")
    built = ledger.build(records, tell)
    measured = ledger.measure(records)
    figures = {name: (built | measured)[name] for name in _ORDER}
    if not join:
        return figures
    tell("snapshot and join", 0)
    return figures | {"join": ledger.measure_join()}


_ORDER: Final = (
    "build_s", "peak_rss_mb", "inclusion", "absence", "restart_s", "state_map_us_per_tx", "disk_mb",
)  # fmt: skip


def _describe() -> NetworkConfig:
    return NetworkConfig(
        network=NETWORK,
        participants=[
            ParticipantConfig(
                id=name,
                name=f"Bench {name}",
                roles=[role],
                control_group=name,
                validator=True,
                invoices=[InvoiceKeys(region=REGION, years=[YEAR])] if role == "commission" else [],
            )
            for name, role in MEMBERS.items()
        ],
    )

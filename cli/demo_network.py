"""The demonstration's network: made fresh, run as processes, hurt once on purpose, looked at in the end.

Knows folders, processes and heights. Must not know episodes. Always true: the validator that is killed is not the one
whose interface the episodes use, and what the others made final without it, it has too before the end.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cli.client import NodeClient
from cli.errors import CliError, NetworkFailure
from cli.processes import NodeProcess, find_nodes, running, wait_ready
from contracts.genesis import Genesis, decode_genesis

if TYPE_CHECKING:
    from cli.network_config import NetworkConfig

CONFIG: Final = Path(__file__).resolve().parent.parent / "network-config" / "demo" / "network.toml"
VICTIM: Final = "tpa"
"""Co-signs every decision: claims wait for it while it is down, and go on when it returns."""
BLOCKS_WITHOUT: Final = 3
"""Final blocks that the others make before the victim returns: the chain does not wait for one of four."""
DOWN_S: Final = 60.0
LEVEL_S: Final = 60.0
POLL_S: Final = 0.1


class ValidatorReport(Struct, frozen=True):
    """One validator at the end. Heights are equal by construction: `state_root` is of the same block everywhere."""

    name: str
    killed: bool
    recovered: bool
    height: int
    state_root: str


class DemoNetwork:
    """The running nodes."""

    def __init__(self, nodes: list[NodeProcess], genesis: Genesis) -> None:
        self.nodes = {item.name: item for item in nodes}
        self.genesis = genesis
        self.clients: dict[str, NodeClient] = {item.name: item.client for item in nodes}
        self.envelope_keys = {member.id: member.envelope_key for member in genesis.participants}
        self._killed: set[str] = set()

    def kill_and_recover(self, name: str = VICTIM) -> None:
        """SIGKILL, watch the others go on, start again, wait until it is ready. Raises NetworkFailure."""
        witness = next(client for other, client in sorted(self.clients.items()) if other != name)
        before = int(witness.status()["height"])
        self._killed.add(name)
        self.nodes[name].kill()
        self._wait(lambda: int(witness.status()["height"]) >= before + BLOCKS_WITHOUT, DOWN_S, "go on without " + name)
        self.nodes[name].start()
        wait_ready([self.nodes[name]])

    def validators(self) -> list[ValidatorReport]:
        """Every validator at one height that all of them have. Raises NetworkFailure."""
        names = [member.id for member in self.genesis.participants if member.validator]
        height = max(int(self.clients[name].status()["height"]) for name in names)
        self._wait(
            lambda: all(int(self.clients[name].status()["height"]) >= height for name in names), LEVEL_S, "level out"
        )
        return [self._report(name, height) for name in names]

    def _report(self, name: str, height: int) -> ValidatorReport:
        header: dict[str, Any] = self.clients[name].get(f"/v1/blocks/{height}")["header"]
        return ValidatorReport(
            name=name,
            killed=name in self._killed,
            recovered=name in self._killed and self.nodes[name].is_running(),
            height=height,
            state_root=header["state_root"],
        )

    def _wait(self, reached: Any, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not reached():
            if time.monotonic() > deadline:
                raise NetworkFailure("timeout", f"the validators did not {what} within {timeout_s:.0f} s")
            time.sleep(POLL_S)


@contextmanager
def demo_network(folder: Path, base_ms: int, issue_years: Iterable[int] = ()) -> Iterator[DemoNetwork]:
    """Make the network of `network-config/demo` in `folder` with simulated time, and run it.

    `issue_years`: years of invoices beyond those of the file, for which the commission needs a key as well.
    """
    from cli.network_config import load_network_config
    from cli.network_setup import create_network

    if not CONFIG.is_file():
        raise CliError("config", f"{CONFIG} is missing; the demo runs from a clone of the project")
    config = _with_years(load_network_config(CONFIG), set(issue_years))
    genesis = decode_genesis(create_network(config, folder, base_ms=base_ms))
    with running(find_nodes(folder)) as nodes:
        yield DemoNetwork(nodes, genesis)


def _with_years(config: "NetworkConfig", years: set[int]) -> "NetworkConfig":
    """The same network; every commission's invoice keys reach over `years` too."""
    members = [
        member.model_copy(
            update={
                "invoices": [
                    keys.model_copy(update={"years": sorted({*keys.years, *years})}) for keys in member.invoices
                ]
            }
        )
        for member in config.participants
    ]
    return config.model_copy(update={"participants": members})

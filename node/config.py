"""node.toml: what may differ from node to node. Everything shared stands in genesis and is hashed there.

Knows keys, defaults and bounds; must not know how any value is used. Must always hold: a file with ten faults is
answered with ten faults, each with its key path, and an unknown key is a fault: it is a misspelt known one.
No secret has a key here: keys are files of mode 0600, a database password comes from the file `store.url_file`.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from node.errors import ConfigError
from node.witnessing.settings import WitnessConfig

CONFIG_NAME = "node.toml"
BANK_HELD = Path("data", "bank-held")
"""Made by a restore: the vault may not know what left after the backup, so no order leaves until a person says so."""
MAX_CONFIG_BYTES = 256 * 1024
"""A configuration written by people is a few kilobytes."""

_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@|[?&]\s*password\s*=", re.IGNORECASE)
Port = Annotated[int, Field(ge=0, le=65_535)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _without_password(url: str) -> str:
    if _PASSWORD.search(url):
        raise ValueError("a password does not belong here: put the URL into a file of mode 0600, named by url_file")
    return url


class ApiConfig(_Part):
    """The HTTP interface. Port 0 takes a free one, printed in the ready line."""

    host: str = "127.0.0.1"
    port: Port = 0
    token_file: str | None = None
    """Scoped tokens, hashed; relative to the folder. Default: `data/tokens.json`."""


class PeersConfig(_Part):
    """The mutual-TLS port for other nodes."""

    listen_host: str = "127.0.0.1"
    listen_port: Port = 0
    addresses: dict[str, str] = Field(default_factory=dict)
    """participant = "host:port"; overrides the endpoint in the registry."""
    proxy: str | None = None
    """host:port of an HTTP CONNECT proxy for outbound connections."""
    ban_max_s: Annotated[int, Field(ge=0, le=86_400)] = 600
    """The longest time for which a participant that misbehaves is refused; 0: nobody is."""
    edge: bool = False
    """True: no listening port; requests of others come down the connections that this node opens."""


class StoreConfig(_Part):
    """Where final blocks are kept."""

    url: Annotated[str, AfterValidator(_without_password)] = "sqlite"
    """`sqlite` = data/ledger.db in the folder; or `postgresql+psycopg://USER@HOST/DATABASE`, without a password. A
    database (or schema: `?options=-csearch_path%3DNAME`) of its own for each node; the tables are made at the start."""
    url_file: str | None = None
    """A file of mode 0600 with the whole URL, password included; relative to the folder; wins over `url`."""
    retain_blocks: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Whole blocks kept at the end of the chain; 0 keeps all. Older bodies are pruned while the node runs, but never
    those of the last 48 hours of block time or 10,000 heights, nor what its open claims need (node/README.md)."""


class MempoolConfig(_Part):
    """Bounds of what waits for a block."""

    max_transactions: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    max_bytes: Annotated[int, Field(ge=2**20, le=2**32)] = 64 * 2**20
    author_share_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """One author may fill at most this share of either bound."""


class OrderingConfig(_Part):
    """Local pace of ordering; none of it can hurt agreement."""

    delta_ms: Annotated[int, Field(ge=20, le=8_000)] = 500
    """The assumed delay of one message, D: a leader is given 2 D to propose."""
    block_interval_ms: Annotated[int, Field(ge=0, le=10_000)] = 60
    """A leader waits until its last known block is this old, so that a block carries more than one transaction."""
    block_transactions: Annotated[int, Field(ge=1, le=10_000)] = 500
    """A leader puts at most this many into one block; the network's own limit holds besides."""


class LogConfig(_Part):
    """Log lines are JSON on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class ClockConfig(_Part):
    """For networks that live in a simulated time."""

    offset_ms: Annotated[int, Field(ge=-(2**45), le=2**45)] = 0


class SnapshotsConfig(_Part):
    """Snapshots of final state that this node makes by itself, for those who begin. None by default: each takes as much
    disk as state and a core's time for as long as it is written, and a few nodes of a network suffice."""

    every: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    """Blocks between them: heights are its multiples, so nodes with the same number make the same snapshots and a
    node that begins can take parts from several. 0: none. 100,000 blocks are some hours at full load."""
    keep: Annotated[int, Field(ge=1, le=100)] = 2
    """How many stay: two, so that who is fetching one can go on while the next is made."""


class ReportsConfig(_Part):
    """Clocks and figures for this participant's own people."""

    warn_percent: Annotated[int, Field(ge=1, le=100)] = 80
    """Share of a limit at which a clock warns."""

    @property
    def warn_bp(self) -> int:
        """The same in basis points."""
        return self.warn_percent * 100


class BankConfig(_Part):
    """An insurer's bank. `demo` books all at once; `file` writes pain.001 and reads pain.002, camt.053, camt.054."""

    kind: Literal["demo", "file"] = "demo"
    folder: str = "bank"
    """With `out` and `in`; relative to the node's folder."""
    version: Literal["pain.001.001.09", "pain.001.001.03"] = "pain.001.001.09"
    """The older one where a bank takes nothing else; it has no UETR."""
    charset: Literal["unicode", "latin"] = "unicode"
    """`latin`: names outside the set of SEPA and SWIFT are not ordered; banks in China take Chinese characters."""
    name: str = ""
    account: str = ""
    """Of the insurer: its name with the bank, and its IBAN or account number."""
    agent_bic: str | None = None
    agent_clearing: str | None = None
    """The bank: its BIC, or its member id of the clearing system (CNAPS: 12 digits)."""


class RiskConfig(_Part):
    """An insurer's risk grades (contracts/risk). Off by default: of 393 stays of a public data set the default figures
    send 38 to a person that would have gone straight through (equal bills of a pharmacy on one day)."""

    enabled: bool = False
    parameters_file: str | None = None
    """`.toml` or canonical JSON, as `claimnode risk parameters --json` writes it; relative to the folder."""


class NodeConfig(_Part):
    """The whole file. Only `participant` has no default."""

    participant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]$")]
    api: ApiConfig = ApiConfig()
    peers: PeersConfig = PeersConfig()
    store: StoreConfig = StoreConfig()
    mempool: MempoolConfig = MempoolConfig()
    ordering: OrderingConfig = OrderingConfig()
    log: LogConfig = LogConfig()
    clock: ClockConfig = ClockConfig()
    bank: BankConfig = BankConfig()
    witness: WitnessConfig = WitnessConfig()
    snapshots: SnapshotsConfig = SnapshotsConfig()
    reports: ReportsConfig = ReportsConfig()
    risk: RiskConfig = RiskConfig()
    agents: dict[str, bool] = Field(default_factory=dict)
    """role = false switches that role's automatic work off."""


def load_config(folder: Path) -> NodeConfig:
    """The configuration of the node in `folder`. Raises ConfigError `config`, listing every fault."""
    path = folder / CONFIG_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("config", [(str(path), f"not readable ({error.strerror})")]) from None
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError("config", [(str(path), f"{len(data)} bytes, at most {MAX_CONFIG_BYTES}")])
    return decode_config(data, str(path))


def decode_config(data: bytes, source: str = CONFIG_NAME) -> NodeConfig:
    """TOML bytes as a configuration; `source` names the file in messages. Raises ConfigError `config`."""
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("config", [(source, f"no TOML: {error}")]) from None
    try:
        return NodeConfig.model_validate(value)
    except ValidationError as error:
        faults = [(".".join(str(part) for part in item["loc"]) or source, item["msg"]) for item in error.errors()]
        raise ConfigError("config", faults) from None

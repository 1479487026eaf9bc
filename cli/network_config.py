"""network.toml: what all nodes of a network share, before keys exist.

Knows the keys of the file and the faults that can be seen in it alone. Must not know the rules of
membership: the contracts check those on the finished genesis. Always true: a file with ten faults is answered
with ten faults, each with its key path, and an unknown key is a fault.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cli.errors import CliError
from contracts.errors import MAX_PATH, shorten
from contracts.genesis import Limits, Parameters, Role
from ledger.encoding import schema_fault

MAX_NETWORK_BYTES = 1024 * 1024
"""A file written by people: 500 participants of 500 bytes are a quarter of it."""

Fault = tuple[str, str]
Port = Annotated[int, Field(ge=0, le=65_535)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class InvoiceKeys(_Part):
    """A commission's invoice keys: one for each issue year of a region."""

    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    years: Annotated[list[Annotated[int, Field(ge=1900, le=2200)]], Field(min_length=1, max_length=64)]


class ParticipantConfig(_Part):
    """One member and where its node listens. Port 0 takes a free one; `edge` listens nowhere."""

    id: Id
    name: Annotated[str, Field(min_length=1, max_length=200)]
    roles: Annotated[list[Role], Field(min_length=1, max_length=5)]
    control_group: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    validator: bool = False
    edge: bool = False
    host: str = "127.0.0.1"
    peer_port: Port = 0
    api_port: Port = 0
    invoices: list[InvoiceKeys] = Field(default_factory=list)


class NetworkConfig(_Part):
    """The whole file. `programs`: `standard` (it ships with the project), or folders with a program.star."""

    network: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}[a-z0-9]$")]
    programs: Annotated[list[str], Field(max_length=64)] = ["standard"]
    parameters: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict)
    participants: Annotated[list[ParticipantConfig], Field(min_length=1, max_length=500)]


def load_network_config(path: Path) -> NetworkConfig:
    """The network described by a file. Raises CliError `config`, listing every fault."""
    data = path.read_bytes()
    if len(data) > MAX_NETWORK_BYTES:
        raise _faulty(path, [("", f"{len(data)} bytes, at most {MAX_NETWORK_BYTES}")])
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _faulty(path, [("", f"no TOML: {error}")]) from None
    faults = [*_struct_faults(value, "parameters", Parameters), *_struct_faults(value, "limits", Limits)]
    try:
        config = NetworkConfig.model_validate(value)
    except ValidationError as error:
        found = [(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors()]
        raise _faulty(path, [*found, *faults]) from None
    faults += _member_faults(config)
    if faults:
        raise _faulty(path, faults)
    return config


def _struct_faults(value: dict[str, Any], name: str, kind: type[msgspec.Struct]) -> Iterator[Fault]:
    """Faults of a table whose closed schema stands with the contracts, one for each key."""
    table = value.get(name, {})
    if not isinstance(table, dict):
        return
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    for key, item in table.items():
        if key not in known:
            yield f"{name}.{key}", f"unknown key; known are {', '.join(sorted(known))}"
            continue
        try:
            msgspec.convert(item, known[key].type, strict=True)
        except msgspec.ValidationError as error:
            yield f"{name}.{key}", schema_fault(error)


def _member_faults(config: NetworkConfig) -> list[Fault]:
    faults: list[Fault] = []
    for name, count in Counter(member.id for member in config.participants).items():
        if count > 1:
            faults.append(("participants", f"{name} is listed {count} times"))
    taken: dict[tuple[str, int], str] = {}
    for index, member in enumerate(config.participants):
        path = f"participants.{index}"
        if member.edge and member.validator:
            faults.append((f"{path}.edge", "a validator must be reachable: edge or validator, not both"))
        if member.invoices and "commission" not in member.roles:
            faults.append((f"{path}.invoices", "only a commission holds invoice keys"))
        for key, port in (("peer_port", member.peer_port), ("api_port", member.api_port)):
            other = taken.setdefault((member.host, port), f"{path}.{key}") if port else None
            if other not in (None, f"{path}.{key}"):
                faults.append((f"{path}.{key}", f"{member.host}:{port} is also {other}"))
    return faults


def _faulty(path: Path, faults: list[Fault]) -> CliError:
    listed = "; ".join(f"{shorten(key, MAX_PATH)}: {text}" if key else text for key, text in faults)
    return CliError("config", f"{path} has {len(faults)} fault{'s' * (len(faults) != 1)}: {listed}")

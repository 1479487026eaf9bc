"""From a network's description to its folders: keys, one genesis, one folder for each node.

    OUT/genesis.json            shared by all, and copied into each node's folder
    OUT/<participant>/          node.toml, genesis.json, keys/ (0600), data/tokens.json (hashes)
    OUT/<participant>/keys/operator.token   the operator's bearer token of that node's API (0600)

Knows files and ports; must not judge membership (the contracts do, on the finished genesis). Always true: no
key is ever overwritten, secrets are readable by their owner alone, and nothing is left behind when the
genesis is refused.
"""

import errno
import secrets
import shutil
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from cli.errors import CliError
from cli.network_config import NetworkConfig, ParticipantConfig
from cli.node_options import OPERATOR_TOKEN
from contracts.execution import genesis_state
from contracts.genesis import (
    FinalityKey,
    Genesis,
    InvoiceKey,
    Limits,
    Parameters,
    Participant,
    Program,
    SigningKey,
    encode_genesis,
)
from contracts.machine.bundle import encode_bundle, program_hash
from ledger.crypto import bls
from ledger.crypto.keys import certificate_der, spki_hash
from node.api.tokens import ALL_SCOPES, create_token
from node.identity import Identity, create_identity
from node.machine.programs import read_program, standard_program

GENESIS_NAME: Final = "genesis.json"

STANDARD: Final = "standard"
DAY_MS: Final = 86_400_000
FREE_PORTS: Final = range(10_240, 32_000)
"""Below the range from which systems take the local ports of outgoing connections: a dialler that retries a node
which is down could otherwise occupy that node's port, or connect to itself."""
PORT_TRIES: Final = 200
PROGRAM_LEAD_DAYS: Final = 3660
"""Programs of a genesis are active ten years back: policies of that time may name them."""


def parse_time(text: str) -> int:
    """An ISO date or instant (UTC unless it says otherwise) in milliseconds. Raises CliError `time`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CliError("time", f"{text!r} is no ISO date or time; write 2025-01-01 or 2025-01-01T08:00:00Z") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    milliseconds = int(aware.timestamp()) * 1000
    if milliseconds < 0:
        raise CliError("time", f"{text!r} lies before 1970")
    return milliseconds


def create_network(config: NetworkConfig, out: Path, *, base_ms: int | None) -> bytes:
    """Make every folder below `out`, which must not exist or be empty. Returns the genesis bytes.

    `base_ms`: simulated time at this moment; None for the machine's own time. Raises CliError `exists`,
    GenesisError (every broken rule of membership), KeyFileError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CliError("exists", f"{out} is not empty; name a new folder with --out")
    now_ms = time.time_ns() // 1_000_000
    time_ms = now_ms if base_ms is None else base_ms
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _fill(config, out, time_ms=time_ms, offset_ms=time_ms - now_ms)
    except BaseException:
        for item in list(out.iterdir()):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
        if created:
            out.rmdir()
        raise


def _fill(config: NetworkConfig, out: Path, *, time_ms: int, offset_ms: int) -> bytes:
    members = sorted(config.participants, key=lambda member: member.id)
    ports = _choose_ports(members)
    identities = {member.id: _create_member(out / member.id, member) for member in members}
    genesis = Genesis(
        v=1,
        network=config.network,
        time_ms=time_ms,
        limits=msgspec.convert(config.limits, Limits),
        parameters=msgspec.convert(config.parameters, Parameters),
        participants=tuple(_participant(member, identities[member.id], ports[member.id][0]) for member in members),
        programs=tuple(_program(name, time_ms) for name in config.programs),
    )
    data = encode_genesis(genesis)
    genesis_state(data)
    (out / GENESIS_NAME).write_bytes(data)
    for member in members:
        folder = out / member.id
        (folder / GENESIS_NAME).write_bytes(data)
        (folder / "node.toml").write_text(_node_toml(member, ports[member.id], offset_ms), encoding="utf-8")
        create_token(folder, name="operator", scopes=ALL_SCOPES, out=folder / OPERATOR_TOKEN)
    return data


def _create_member(folder: Path, member: ParticipantConfig) -> Identity:
    folder.mkdir(mode=0o700)
    (folder / "data").mkdir(mode=0o700)
    invoice = [(keys.region, year) for keys in member.invoices for year in keys.years]
    return create_identity(folder, member.id, validator=member.validator, invoice=invoice)


def _participant(member: ParticipantConfig, identity: Identity, peer_port: int) -> Participant:
    finality = identity.finality
    return Participant(
        id=member.id,
        name=member.name,
        roles=tuple(member.roles),
        control_group=member.control_group,
        validator=member.validator,
        signing_keys=(SigningKey(public_key=identity.signing.public.hex(), from_height=0, until_height=None),),
        finality_key=None
        if finality is None
        else FinalityKey(public_key=finality.public.hex(), possession=bls.prove_possession(finality.secret).hex()),
        envelope_key=identity.envelope.public.hex(),
        note_key=identity.note.public.hex(),
        transport_spki=spki_hash(certificate_der(identity.transport.certificate_pem)),
        endpoint=None if member.edge else f"{member.host}:{peer_port}",
        invoice_keys=tuple(
            InvoiceKey(
                region=region,
                year=year,
                public_key=key.public.hex(),
                possession=bls.prove_possession(key.secret).hex(),
            )
            for (region, year), key in sorted(identity.invoice.items())
        ),
    )


def _program(name: str, time_ms: int) -> Program:
    """`standard` is the program that ships with the project; anything else is a folder."""
    bundle = standard_program() if name == STANDARD else read_program(Path(name))
    return Program(
        contract_hash=program_hash(bundle),
        machine="starlark-c1",
        source=encode_bundle(bundle).decode("utf-8"),
        active_from_ms=max(0, time_ms - PROGRAM_LEAD_DAYS * DAY_MS),
    )


def _node_toml(member: ParticipantConfig, ports: tuple[int, int], offset_ms: int) -> str:
    return f"""\
# What may differ from node to node; everything shared stands in genesis.json.
participant = "{member.id}"

[api]
host = "{member.host}"
port = {ports[1]}

[peers]
listen_host = "{member.host}"
listen_port = {ports[0]}
edge = {str(member.edge).lower()}

[clock]
offset_ms = {offset_ms}
"""


def _choose_ports(members: list[ParticipantConfig]) -> dict[str, tuple[int, int]]:
    """(peer port, API port) of each node."""
    taken: set[tuple[str, int]] = set()
    return {member.id: (_port(member, True, taken), _port(member, False, taken)) for member in members}


def _port(member: ParticipantConfig, is_peer: bool, taken: set[tuple[str, int]]) -> int:
    wanted = member.peer_port if is_peer else member.api_port
    if wanted or (is_peer and member.edge):
        return wanted
    for _ in range(PORT_TRIES):
        port = FREE_PORTS.start + secrets.randbelow(len(FREE_PORTS))
        if (member.host, port) not in taken and _is_free(member, port):
            taken.add((member.host, port))
            return port
    raise CliError("port", f"participant {member.id}: no free port on {member.host} in {PORT_TRIES} tries; set them")


def _is_free(member: ParticipantConfig, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in member.host else socket.AF_INET) as probe:
        try:
            probe.bind((member.host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise CliError("host", f"participant {member.id}: {member.host} is not on this machine") from None
            return False
    return True

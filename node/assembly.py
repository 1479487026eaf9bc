"""Everything of one node's process, put together in one place and taken apart in the opposite order.

Knows every part of the node by its constructor; holds no rule. Must always hold: handlers are registered before the
links start, the links start before ordering, and the API opens last, so that nobody is answered by half a node.
"""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.execution import ChainState
from contracts.genesis import MAX_GENESIS_BYTES, Genesis, decode_genesis, genesis_hash
from contracts.states import read_participant
from node.api.app import Api
from node.api.server import serving
from node.api.tokens import TOKEN_NAME, Tokens
from node.clock import SystemClock
from node.config import NodeConfig, load_config
from node.errors import ConfigError
from node.identity import Identity, load_identity
from node.peers import Member, PeerLimits, Peers
from node.roles import NodeRoles, prepared_roles, running_roles
from node.runtime import Node

GENESIS_NAME = "genesis.json"


@dataclass(frozen=True, slots=True)
class Assembly:
    """What runs, and where it listens. `peer_address` is None for a node that only dials."""

    node: Node
    roles: NodeRoles
    peers: Peers
    api: Api
    api_url: str
    peer_address: str | None


@asynccontextmanager
async def assembled(folder: Path, *, log: Any) -> AsyncIterator[Assembly]:
    """Start the node of `folder`; it runs while the context lasts.

    Raises ConfigError, KeyFileError, StoreError, GenesisError, PeerError `listen`, Unavailable `api_port`.
    """
    config = load_config(folder)
    identity = load_identity(folder, config.participant)
    genesis = read_genesis(folder)
    peers = _build_peers(config, identity, decode_genesis(genesis), genesis_hash(genesis))
    clock = SystemClock(config.clock.offset_ms)
    async with AsyncExitStack() as stack:
        node = Node(folder, config, identity, genesis, links=peers, clock=clock, log=log)
        stack.push_async_callback(node.stop)
        roles = await stack.enter_async_context(prepared_roles(node))
        peers.set_members(members_of(node.chain.final))
        await peers.start()
        stack.push_async_callback(peers.stop)
        api = Api(node, roles, Tokens(folder / (config.api.token_file or TOKEN_NAME)))
        node.pruner.floors.append(("api", lambda: api.directory.height))
        await node.start()
        await stack.enter_async_context(running_roles(node, roles))
        await stack.enter_async_context(api.running())
        port = await stack.enter_async_context(serving(api.app, config.api.host, config.api.port))
        api_url = f"http://{_host(config.api.host)}:{port}"
        address = f"{config.peers.listen_host}:{peers.port}" if peers.port else None
        yield Assembly(node, roles, peers, api, api_url, address)


def read_genesis(folder: Path) -> bytes:
    """The genesis document of the node's folder. Raises ConfigError `genesis`."""
    path = folder / GENESIS_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("genesis", [(str(path), f"not readable ({error.strerror})")]) from None
    if len(data) > MAX_GENESIS_BYTES:
        raise ConfigError("genesis", [(str(path), f"{len(data)} bytes, at most {MAX_GENESIS_BYTES}")])
    return data


def members_of(state: ChainState) -> list[Member]:
    """Every participant as the links need it."""
    found = ((member.id, read_participant(state.read, member.id)) for member in state.genesis.participants)
    return [Member(name, known.transport_spki, known.endpoint) for name, known in found if known is not None]


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _build_peers(config: NodeConfig, identity: Identity, genesis: Genesis, chain: bytes) -> Peers:
    peers = config.peers
    return Peers(
        me=identity.participant,
        chain=chain,
        tls=identity.transport,
        members=[Member(item.id, item.transport_spki, item.endpoint) for item in genesis.participants],
        listen=None if peers.edge else (peers.listen_host, peers.listen_port),
        jitter=random.random,
        addresses=peers.addresses,
        proxy=peers.proxy,
        limits=PeerLimits(ban_max_s=peers.ban_max_s),
    )

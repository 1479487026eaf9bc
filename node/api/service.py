"""The interface of a running node, from its configuration: tokens, application, server.

Knows how the three are put together. Must not know routes. Always true: the interface answers only while the
context lasts, and only for tokens of this node's folder.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from node.api.app import Api
from node.api.gate import Observer
from node.api.port import NodePort, RolesPort
from node.api.server import serving
from node.api.tokens import TOKEN_NAME, Tokens
from node.config import ApiConfig


@asynccontextmanager
async def api_service(
    node: NodePort, roles: RolesPort, folder: Path, config: ApiConfig, *, observers: tuple[Observer, ...] = ()
) -> AsyncIterator[str]:
    """Serve the interface of `node`; gives its URL. Raises Unavailable `api_port`."""
    api = Api(node, roles, Tokens(folder / (config.token_file or TOKEN_NAME)))
    api.observers.extend(observers)
    async with api.running(), serving(api.app, config.host, config.port) as port:
        host = f"[{config.host}]" if ":" in config.host else config.host
        yield f"http://{host}:{port}"

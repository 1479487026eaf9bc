"""The first frame each way: which protocol, which network, which participant. Not a proof: TLS gave that.

A node of another network may hold a registered key by copy of a genesis; the chain id tells them apart.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError
from ledger.types import Hex32, OrgId
from node.peers.errors import PeerError
from node.peers.frames import Kind, decode_frame, encode_hello

VERSION: Final = 1
"""Of frames and hello. A node speaks exactly one; the other end learns which."""
MAX_HELLO_BYTES: Final = 1_024
"""Five times what a hello with the longest id takes."""


class Hello(Struct, frozen=True, forbid_unknown_fields=True):
    """`chain`: hash of the genesis document; `participant`: id of the sender."""

    v: Annotated[int, Meta(ge=1, le=65_535)]
    chain: Hex32
    participant: OrgId


def build_hello(chain: bytes, me: str) -> bytes:
    """The hello frame of this node."""
    return encode_hello(encode(Hello(VERSION, chain.hex(), me)))


def check_hello(data: bytes, chain: bytes, peer: str) -> None:
    """Accept the first frame of a link to `peer`, whom TLS proved.

    Raises PeerError `bad_hello`, `wrong_version`, `wrong_network`, `wrong_participant`.
    """
    try:
        frame = decode_frame(data)
        if frame.kind is not Kind.HELLO:
            raise PeerError("bad_hello", f"the first frame is a {frame.kind.name.lower()}")
        hello = decode_as(frame.payload, Hello, limit=MAX_HELLO_BYTES)
    except DecodeError as error:
        raise PeerError("bad_hello", f"no hello ({error.code})") from None
    if hello.v != VERSION:
        raise PeerError("wrong_version", f"peers speak version {VERSION}, this one {hello.v}")
    if hello.chain != chain.hex():
        raise PeerError("wrong_network", f"genesis {hello.chain[:16]}, ours is {chain.hex()[:16]}")
    if hello.participant != peer:
        raise PeerError("wrong_participant", f"{hello.participant} says hello with the key of {peer}")

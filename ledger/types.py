"""Field types shared by everything that is signed. They carry their bounds, so a decoded struct is in range.

Binary values inside canonical JSON are lower-case hexadecimal. Times are integer milliseconds since
1970-01-01 UTC, heights start at 1 (0 is genesis), money is integer fen (or the minor unit of the stated
currency) within +-(2^53-1). `\\Z` and not `$`: the latter would accept a trailing newline.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

Hex16: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""16 bytes: nonces, key ids."""
Hex32: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""32 bytes: hashes, Ed25519 and X25519 public keys, commitments, salts."""
Hex48: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{96}\Z")]
"""48 bytes: a BLS12-381 public key (compressed G1)."""
Hex64: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
"""64 bytes: an Ed25519 signature."""
Hex96: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{192}\Z")]
"""96 bytes: a BLS12-381 signature (compressed G2)."""

OrgId: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,38}[a-z0-9]\Z")]
"""A participant's id: 2 to 40 of a-z, 0-9 and hyphen."""
NetworkId: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,62}[a-z0-9]\Z")]
Name: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
"""An identifier chosen by people: plan ids, benefit codes, parameter names."""
Text: TypeAlias = Annotated[str, Meta(max_length=200)]

Millis: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Height: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Fen: TypeAlias = Annotated[int, Meta(ge=-(2**53 - 1), le=2**53 - 1)]
Currency: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
DateText: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]

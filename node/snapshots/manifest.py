"""The manifest of a snapshot: what it is of, what proves it, and the hash of each chunk.

Knows the closed form, its bounds and what must hold before the first chunk is read; must not know chunks' contents.
Must always hold: a manifest that passed is of the trusted genesis' network, its header was made final by the validators
that follow from that genesis through every epoch, and the log's tail has the header's root.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from contracts.execution import ChainState
from contracts.validators import closes_epoch
from ledger.blocks import MAX_BLOCK_BYTES, Header, header_hash
from ledger.certificates import MAX_VALIDATORS, Certificate, Validator, ValidatorSet, verify_finality
from ledger.encoding import decode_as
from ledger.errors import LedgerError
from ledger.logtiles import MAX_LEVEL, TILE_BYTES, Tail
from ledger.merkle import Frontier
from ledger.types import Count, Hex32, NetworkId
from node.errors import SnapshotRefused

KIND: Final = "claimnode-snapshot"
CHUNK_BYTES: Final = 4 * 2**20
"""A chunk ends at the first row or block beyond this."""
MAX_CHUNK_BYTES: Final = 12 * 2**20
"""No chunk is larger: CHUNK_BYTES and the largest row or block, below the bound of one peer message."""
MAX_CHUNKS: Final = 200_000
"""800 GB; a manifest of so many has 24 MB."""
MAX_EPOCHS: Final = 4_096
MAX_MANIFEST_BYTES: Final = 64 * 2**20
assert CHUNK_BYTES + MAX_BLOCK_BYTES <= MAX_CHUNK_BYTES


class EpochClose(Struct, frozen=True, forbid_unknown_fields=True):
    """The last block of an epoch, what made it final, and the set that it hands over to."""

    header: Header
    certificate: Certificate
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=MAX_VALIDATORS)]


class Chunk(Struct, frozen=True, forbid_unknown_fields=True):
    """One file: `state` rows ascending by their place in the map, or `blocks` of the replay window ascending."""

    kind: Literal["state", "blocks"]
    size: Annotated[int, Meta(ge=1, le=MAX_CHUNK_BYTES)]
    sha256: Hex32


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything but rows and blocks. `before` is the header below the replay window, null if that begins at 1."""

    v: Literal[1]
    kind: Literal["claimnode-snapshot"]
    network: NetworkId
    genesis: Hex32
    header: Header
    certificate: Certificate
    epochs: Annotated[tuple[EpochClose, ...], Meta(max_length=MAX_EPOCHS)]
    before: Header | None
    log_tail: Annotated[
        tuple[Annotated[str, Meta(max_length=2 * TILE_BYTES, pattern=r"\A(?:[0-9a-f]{64})*\Z")], ...],
        Meta(max_length=MAX_LEVEL + 1),
    ]
    rows: Count
    blocks: Count
    chunks: Annotated[tuple[Chunk, ...], Meta(max_length=MAX_CHUNKS)]


@dataclass(frozen=True, slots=True)
class CheckedManifest:
    """A manifest that holds, and the log's tail at its height."""

    manifest: Manifest
    tail: Tail
    peaks: tuple[bytes, ...]

    @property
    def header(self) -> Header:
        """The certified header."""
        return self.manifest.header


def check_manifest(data: bytes, start: ChainState) -> CheckedManifest:
    """`data` against the state of the trusted genesis.

    Raises SnapshotRefused: `manifest` (its form), `other_network`, `epochs`, `validator_set`, `certificate`,
    `log_root`, `window`, `chunks`.
    """
    try:
        manifest = decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES)
    except LedgerError as error:
        raise SnapshotRefused("manifest", f"no manifest of a snapshot: {error}") from None
    if manifest.genesis != start.chain.hex() or manifest.header.network != start.genesis.network:
        raise SnapshotRefused("other_network", f"the snapshot is of genesis {manifest.genesis}")
    validators = _follow_epochs(manifest, start)
    _check_place(manifest.header, validators)
    _check_final(manifest.certificate, manifest.header, validators, start.chain)
    if manifest.certificate.digest != header_hash(manifest.header).hex():
        raise SnapshotRefused("certificate", "the certificate is not one of the snapshot's own block")
    tail, peaks = _check_tail(manifest)
    _check_shape(manifest)
    return CheckedManifest(manifest, tail, peaks)


def _follow_epochs(manifest: Manifest, start: ChainState) -> ValidatorSet:
    validators, above = start.validators, 0
    for close in manifest.epochs:
        header = close.header
        _check_place(header, validators)
        if not closes_epoch(header) or header.height <= above:
            raise SnapshotRefused("epochs", f"header {header.height} does not close epoch {header.epoch}")
        _check_final(close.certificate, header, validators, start.chain)
        try:
            validators, above = ValidatorSet(header.epoch + 1, close.validators), header.height
        except LedgerError as error:
            raise SnapshotRefused("validator_set", error.detail) from None
        if validators.hash.hex() != header.next_validator_set_hash:
            raise SnapshotRefused("validator_set", f"header {header.height} hands over to another set than the listed")
    if manifest.header.height <= above:
        raise SnapshotRefused("epochs", f"height {manifest.header.height} lies in an epoch that is closed")
    return validators


def _check_place(header: Header, validators: ValidatorSet) -> None:
    if header.epoch != validators.epoch:
        raise SnapshotRefused("epochs", f"header {header.height} is of epoch {header.epoch}, not {validators.epoch}")
    if header.validator_set_hash != validators.hash.hex():
        raise SnapshotRefused("validator_set", f"header {header.height} names another set than the one before it")


def _check_final(certificate: Certificate, header: Header, validators: ValidatorSet, chain: bytes) -> None:
    try:
        verify_finality(certificate, header_hash(header), validators, chain)
    except LedgerError as error:
        raise SnapshotRefused("certificate", f"header {header.height} is not proved final: {error}") from None


def _check_tail(manifest: Manifest) -> tuple[Tail, tuple[bytes, ...]]:
    header = manifest.header
    tail = Tail(header.log_size, tuple(bytes.fromhex(item) for item in manifest.log_tail))
    try:
        peaks = tail.peaks()
        frontier = Frontier(header.log_size, peaks)
        frontier.check()
        root = frontier.root.hex()
    except LedgerError as error:
        raise SnapshotRefused("log_root", error.detail) from None
    if root != header.log_root:
        raise SnapshotRefused("log_root", f"the log's tail has the root {root}, the header says {header.log_root}")
    return tail, peaks


def _check_shape(manifest: Manifest) -> None:
    height = manifest.header.height
    lowest = manifest.before.height + 1 if manifest.before else 1
    if manifest.blocks != height - lowest + 1 or manifest.blocks < 1:
        raise SnapshotRefused("window", f"{manifest.blocks} blocks are no window from {lowest} to {height}")
    kinds = [chunk.kind for chunk in manifest.chunks]
    if kinds != sorted(kinds, key=("state", "blocks").index):
        raise SnapshotRefused("chunks", "chunks of state come before those of blocks")

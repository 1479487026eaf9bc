"""Headers, certificates, validators and log entries in as few bytes as they can be told in.

Knows how the parts of a proof are written; must not know what a proof means. Numbers are big-endian of fixed width,
texts are ASCII with their length before them, hashes are raw. What follows from something else is left out: a
certificate's epoch and digest from its header. Must always hold: reading never goes beyond the bytes, and whoever reads
a whole proof compares it with what writing the result gives, so that there is one spelling.
"""

from typing import Final

from ledger.blocks import Header, header_hash
from ledger.certificates import MAX_VALIDATORS, Certificate, Validator, tail_digest
from ledger.encoding import MAX_INT
from ledger.errors import DecodeError, InvalidProof
from ledger.state import Entry, Write

HASH: Final = 32
FINALIZE: Final = 1
"""The only kind of certificate that has a form here: a notarization proves nothing, so it cannot be written."""
MAX_BITMAP: Final = (MAX_VALIDATORS + 7) // 8
_PLAIN_KEY, _HASH_KEY, _ID_KEY = 0, 32, 16
"""How a state key is told: as text, or as its family and an id of that many bytes."""


class Pen:
    """Writes the parts of a proof one after the other."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def data(self) -> bytes:
        """All that was written."""
        return b"".join(self._parts)

    def raw(self, data: bytes) -> None:
        """Bytes of a length that the reader knows."""
        self._parts.append(data)

    def number(self, value: int, width: int) -> None:
        """A whole number from 0. Raises InvalidProof `form` if it does not fit."""
        if not 0 <= value < 256**width:
            raise InvalidProof("form", f"{value} does not fit {width} bytes")
        self._parts.append(value.to_bytes(width, "big"))

    def hex(self, *values: str) -> None:
        """Hexadecimal fields as raw bytes."""
        self._parts += (bytes.fromhex(value) for value in values)

    def blob(self, data: bytes) -> None:
        """Length in two bytes, then the bytes."""
        self.number(len(data), 2)
        self.raw(data)

    def text(self, value: str) -> None:
        """ASCII text. Raises InvalidProof `form` for other letters."""
        if not value.isascii():
            raise InvalidProof("form", "texts in a proof are ASCII")
        self.blob(value.encode("ascii"))


class Lens:
    """Reads what a Pen wrote. Every method raises DecodeError `truncated` at the end of the bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether every byte was read."""
        return self._at == len(self._data)

    def raw(self, size: int) -> bytes:
        """The next `size` bytes."""
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise DecodeError("truncated", f"the proof ends at byte {len(self._data)}, within a part")
        self._at += size
        return found

    def number(self, width: int) -> int:
        """A whole number of `width` bytes, at most 2^53-1."""
        value = int.from_bytes(self.raw(width), "big")
        if value > MAX_INT:
            raise DecodeError("integer_range", "a number beyond 2^53-1")
        return value

    def hex(self, size: int = HASH) -> str:
        """`size` bytes as hexadecimal."""
        return self.raw(size).hex()

    def blob(self) -> bytes:
        """Bytes behind their length."""
        return self.raw(self.number(2))

    def text(self) -> str:
        """Printable ASCII text."""
        data = self.blob()
        if not all(0x20 <= byte < 0x7F for byte in data):
            raise DecodeError("text", "texts in a proof are printable ASCII")
        return data.decode("ascii")

    def flag(self) -> bool:
        """One byte, 0 or 1."""
        value = self.number(1)
        if value > 1:
            raise DecodeError("flag", f"{value} is neither yes nor no")
        return value == 1


def write_header(pen: Pen, header: Header) -> None:
    """network, epoch (4), height (8), time (8), log size (8), six hashes, and the next set's if it differs."""
    pen.text(header.network)
    for value, width in ((header.epoch, 4), (header.height, 8), (header.time_ms, 8), (header.log_size, 8)):
        pen.number(value, width)
    pen.hex(header.parent, header.tx_root, header.log_root, header.state_root, header.receipts_root)
    pen.hex(header.validator_set_hash)
    differs = header.next_validator_set_hash != header.validator_set_hash
    pen.number(differs, 1)
    if differs:
        pen.hex(header.next_validator_set_hash)


def read_header(lens: Lens) -> Header:
    """What `write_header` wrote."""
    network, epoch = lens.text(), lens.number(4)
    height, time_ms, log_size = lens.number(8), lens.number(8), lens.number(8)
    parent, tx_root, log_root, state_root, receipts_root, mine = (lens.hex() for _ in range(6))
    following = lens.hex() if lens.flag() else mine
    return Header(
        network=network,
        epoch=epoch,
        height=height,
        parent=parent,
        time_ms=time_ms,
        tx_root=tx_root,
        log_size=log_size,
        log_root=log_root,
        state_root=state_root,
        receipts_root=receipts_root,
        validator_set_hash=mine,
        next_validator_set_hash=following,
    )


def write_certificate(pen: Pen, certificate: Certificate, header: Header) -> None:
    """kind (1), view (8), parent view (8), whether it is a tail's (1), bitmap, BLS signature (96).

    Raises InvalidProof `kind`, `epoch` or `digest` for a certificate that does not make this header final.
    """
    digest = header_hash(header)
    named = {digest.hex(): 0, tail_digest(digest).hex(): 1}
    if certificate.kind != "finalize":
        raise InvalidProof("kind", f"a {certificate.kind} certificate proves no header")
    if certificate.epoch != header.epoch:
        raise InvalidProof("epoch", f"a certificate of epoch {certificate.epoch} for a header of {header.epoch}")
    if certificate.digest not in named:
        raise InvalidProof("digest", "the certificate speaks about another header")
    pen.number(FINALIZE, 1)
    pen.number(certificate.view, 8)
    pen.number(certificate.parent_view, 8)
    pen.number(named[certificate.digest], 1)
    bitmap = bytes.fromhex(certificate.signers)
    pen.number(len(bitmap), 1)
    pen.raw(bitmap)
    pen.hex(*certificate.signatures)


def read_certificate(lens: Lens, header: Header) -> Certificate:
    """What `write_certificate` wrote for this header."""
    kind = lens.number(1)
    if kind != FINALIZE:
        raise DecodeError("kind", "only a finalization proves a header")
    view, parent_view = lens.number(8), lens.number(8)
    own = header_hash(header)
    digest = tail_digest(own) if lens.flag() else own
    size = lens.number(1)
    if not 1 <= size <= MAX_BITMAP:
        raise DecodeError("bitmap_size", f"a bitmap of {size} bytes")
    bitmap, signature = lens.hex(size), lens.hex(96)
    return Certificate("finalize", header.epoch, view, parent_view, digest.hex(), bitmap, (signature,))


def write_validators(pen: Pen, validators: tuple[Validator, ...]) -> None:
    """Count (1), then id, Ed25519 key and BLS key of each."""
    pen.number(len(validators), 1)
    for item in validators:
        pen.text(item.id)
        pen.hex(item.signing_key, item.finality_key)


def read_validators(lens: Lens) -> tuple[Validator, ...]:
    """What `write_validators` wrote."""
    return tuple(Validator(lens.text(), lens.hex(), lens.hex(48)) for _ in range(lens.number(1)))


def write_entry(pen: Pen, entry: Entry) -> None:
    """A log entry; its leaf is the hash of its canonical JSON, which every field of this form determines."""
    for value, width in ((entry.height, 8), (entry.index, 4), (entry.op, 4)):
        pen.number(value, width)
    pen.hex(entry.tx_id, entry.key_id)
    for text in (entry.kind, entry.author, entry.code):
        pen.text(text)
    pen.number(len(entry.writes), 2)
    for write in entry.writes:
        _write_write(pen, write)


def read_entry(lens: Lens) -> Entry:
    """What `write_entry` wrote."""
    height, index, op = lens.number(8), lens.number(4), lens.number(4)
    tx_id, key_id = lens.hex(), lens.hex(16)
    kind, author, code = lens.text(), lens.text(), lens.text()
    writes = tuple(_read_write(lens) for _ in range(lens.number(2)))
    return Entry(height, index, op, tx_id, kind, author, key_id, code, writes)


def _write_write(pen: Pen, write: Write) -> None:
    family, slash, identifier = write.key.partition("/")
    size = len(identifier) // 2
    if slash and size in (_HASH_KEY, _ID_KEY) and identifier == _as_hex(identifier):
        pen.number(size, 1)
        pen.text(family)
        pen.hex(identifier)
    else:
        pen.number(_PLAIN_KEY, 1)
        pen.text(write.key)
    pen.number(write.version, 8)
    for value in (write.prev, write.digest):
        pen.number(value is not None, 1)
        pen.hex(value or "")


def _read_write(lens: Lens) -> Write:
    size = lens.number(1)
    if size not in (_PLAIN_KEY, _HASH_KEY, _ID_KEY):
        raise DecodeError("key_form", f"{size} is no form of a state key")
    key = f"{lens.text()}/{lens.hex(size)}" if size else lens.text()
    version = lens.number(8)
    prev = lens.hex() if lens.flag() else None
    digest = lens.hex() if lens.flag() else None
    return Write(key, version, prev, digest)


def _as_hex(text: str) -> str | None:
    """`text` as lower-case hexadecimal writes it, None if it is none."""
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return None

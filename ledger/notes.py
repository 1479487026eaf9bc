"""C2SP signed notes: text that any number of keys have signed, each in a line of its own.

Knows two kinds of signature: Ed25519 over the text (type 0x01, logs) and the timestamped cosignature of a witness
(type 0x04, `cosignature/v1`). Must not know what a text says, nor whom to trust. Must always hold: a note has one
spelling, so what is parsed is written again byte for byte; a line of an unknown key proves nothing and harms nothing;
a line of a known key that does not verify spoils the whole note.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.crypto import ed25519
from ledger.errors import DecodeError, SignatureError

MAX_NOTE_BYTES: Final = 128 * 1024
"""The 16 signatures that every reader must take, each as large as post-quantum ones, with room for the text."""
MAX_SIGNATURES: Final = 64
"""Lines of one note: a log key for each of a few nodes and a few dozen witnesses."""
MAX_TEXT_LINES: Final = 64
"""Lines of the text: three of a checkpoint, and as many extension lines as anybody could read."""
MAX_NAME_BYTES: Final = 255
"""The longest name that later cosignature formats can hold."""
ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
MAX_TIME_S: Final = 2**63 - 1

_MARK: Final = "— "
_SPLIT: Final = b"\n\n"
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_VKEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One line: who says to have signed, and the bytes. Nothing is verified yet."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line without its newline."""
        return f"{_MARK}{self.name} {encode_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, its last newline included, and its signature lines in their order."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name, a kind of signature (ED25519 or COSIGNATURE) and a public key of 32 bytes: whom a reader trusts."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name, newline, kind, key), the first four bytes."""
        material = self.name.encode() + b"\n" + bytes((self.kind,)) + self.public
        return hashlib.sha256(material).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as one word: name+id+base64(kind, key)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes((self.kind,)) + self.public)}"


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A line that verified: the key, and the time in seconds since 1970 that a witness signed with it, else None."""

    key: VerifierKey
    time_s: int | None


def parse_note(data: bytes) -> Note:
    """A signed note (C2SP signed-note). Raises DecodeError `too_large`, `note`, `key_name`, `base64`."""
    if len(data) > MAX_NOTE_BYTES:
        raise DecodeError("too_large", f"a note of {len(data)} bytes, at most {MAX_NOTE_BYTES}")
    if _CONTROL.search(data):
        raise DecodeError("note", "a note has no control characters but newlines")
    text, mark, rest = data.rpartition(_SPLIT)
    if not mark or not rest.endswith(b"\n"):
        raise DecodeError("note", "a note is a text, an empty line and signature lines, each ended by a newline")
    try:
        text.decode("utf-8")
        lines = rest[:-1].decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DecodeError("note", "a note is UTF-8") from None
    if len(lines) > MAX_SIGNATURES:
        raise DecodeError("too_large", f"a note with {len(lines)} signatures, at most {MAX_SIGNATURES}")
    if text.count(b"\n") >= MAX_TEXT_LINES:
        raise DecodeError("too_large", f"a note's text has at most {MAX_TEXT_LINES} lines")
    return Note(text + b"\n", tuple(parse_signature_line(line) for line in lines))


def parse_signature_line(line: str) -> NoteSignature:
    """One signature line without its newline. Raises DecodeError `note`, `key_name`, `base64`."""
    if not line.startswith(_MARK):
        raise DecodeError("note", "a signature line begins with an em dash and a space")
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    check_key_name(name)
    data = decode_base64(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise DecodeError("note", "a signature line holds a key id of four bytes and a signature")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def encode_note(note: Note) -> bytes:
    """The bytes of a note. Raises DecodeError as `parse_note` if the parts make none."""
    data = note.text + b"\n" + "".join(item.line + "\n" for item in note.signatures).encode()
    if parse_note(data) != note:
        raise DecodeError("note", "the text of a note ends with one newline")
    return data


def check_key_name(name: str) -> None:
    """Raise DecodeError `key_name` unless a key may have this name."""
    has_space = any(character.isspace() or character < " " for character in name)
    if not name or has_space or "+" in name or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise DecodeError("key_name", f"a key's name has 1 to {MAX_NAME_BYTES} bytes, no space and no plus sign")


def parse_vkey(text: str) -> VerifierKey:
    """A verifier key as one word. Raises DecodeError `vkey`, `key_name`, `base64`; SignatureError `bad_key`."""
    match = _VKEY.fullmatch(text) if len(text) <= 2 * MAX_NAME_BYTES else None
    if match is None:
        raise DecodeError("vkey", "a verifier key is name+id+base64, the id of eight lower-case hexadecimal digits")
    check_key_name(match[1])
    data = decode_base64(match[3])
    key = VerifierKey(match[1], data[0], data[1:])
    if key.kind not in (ED25519, COSIGNATURE):
        raise DecodeError("vkey", f"signatures of type {key.kind:#04x} are not verified here; 0x01 and 0x04 are")
    ed25519.check_public_key(key.public)
    if key.key_id.hex() != match[2]:
        raise DecodeError("vkey", f"the verifier key's id is {match[2]}, its name and key make {key.key_id.hex()}")
    return key


def sign_text(text: bytes, name: str, secret_seed: bytes) -> NoteSignature:
    """A log's signature (type 0x01) over the text, its last newline included."""
    key = VerifierKey(name, ED25519, ed25519.public_key(secret_seed))
    return NoteSignature(name, key.key_id, ed25519.sign(secret_seed, text))


def cosign_text(text: bytes, name: str, secret_seed: bytes, time_s: int) -> NoteSignature:
    """A witness' timestamped cosignature (type 0x04, C2SP tlog-cosignature); `time_s`: seconds since 1970."""
    key = VerifierKey(name, COSIGNATURE, ed25519.public_key(secret_seed))
    signature = ed25519.sign(secret_seed, cosigned_message(text, time_s))
    return NoteSignature(name, key.key_id, time_s.to_bytes(TIME_BYTES, "big") + signature)


def cosigned_message(text: bytes, time_s: int) -> bytes:
    """What a witness signs."""
    return b"cosignature/v1\ntime %d\n" % time_s + text


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifiedSignature, ...]:
    """The signatures by these keys, each key once. Lines of other keys are passed over.

    Raises SignatureError: `unsigned` if no line is by one of them, `bad_signature` if one of theirs does not verify.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[VerifierKey, VerifiedSignature] = {}
    for item in note.signatures:
        key = known.get((item.name, item.key_id))
        if key is not None:
            found.setdefault(key, verify_line(note.text, item, key))
    if not found:
        raise SignatureError("unsigned", "no line of the note is signed by a key that is trusted here")
    return tuple(found.values())


def verify_line(text: bytes, item: NoteSignature, key: VerifierKey) -> VerifiedSignature:
    """One line by a known key. Raises SignatureError `bad_signature`, `bad_key`."""
    if key.kind == ED25519:
        ed25519.verify(key.public, text, item.signature)
        return VerifiedSignature(key, None)
    time_s = int.from_bytes(item.signature[:TIME_BYTES], "big")
    if time_s > MAX_TIME_S:
        raise SignatureError("bad_signature", "a cosignature's time is beyond 2^63 - 1 seconds")
    ed25519.verify(key.public, cosigned_message(text, time_s), item.signature[TIME_BYTES:])
    return VerifiedSignature(key, time_s)


def with_signatures(note: Note, more: Iterable[NoteSignature]) -> Note:
    """The note with further lines at its end; a later line of the same key takes the place of an earlier one."""
    lines = {(item.name, item.key_id): item for item in note.signatures}
    lines |= {(item.name, item.key_id): item for item in more}
    return Note(note.text, tuple(lines.values()))


def encode_base64(data: bytes) -> str:
    """RFC 4648 section 4, with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of a canonical base64 text. Raises DecodeError `base64` for any other spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise DecodeError("base64", "no base64 (RFC 4648 section 4)") from None
    if encode_base64(data) != text:
        raise DecodeError("base64", "the base64 text would be written differently")
    return data

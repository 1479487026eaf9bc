"""An outside witness: signs a log's checkpoint only if it follows from the one signed before (C2SP tlog-witness).

Knows its folder: `witness.json` (name, logs), `key.json` (0600), one record for each log, and evidence. Must not know
what a log is about. Must always hold: the record of what was signed is durable before the signature leaves; a record
that is missing is no fresh start but an error; a checkpoint that contradicts the record is kept beside it, both as
signed notes.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ledger.checkpoints import Checkpoint, Submission, parse_checkpoint, parse_submission
from ledger.crypto.keys import KeyPair, generate_key, load_key, save_key
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, InvalidProof, SignatureError
from ledger.merkle import verify_consistency
from ledger.notes import (
    COSIGNATURE,
    ED25519,
    VerifierKey,
    check_key_name,
    cosign_text,
    encode_note,
    parse_note,
    parse_vkey,
    verify_note,
)
from ledger.types import Count, Hex32
from node.errors import ConfigError
from node.witnessing.files import write_whole

SETTINGS: Final = "witness.json"
KEY: Final = "key.json"
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
MAX_SETTINGS_BYTES: Final = 1024 * 1024
MAX_RECORD_BYTES: Final = 1024 * 1024
"""Two notes with their proof, in JSON."""
MAX_CONFLICTS: Final = 1_000
"""Files of evidence in one folder; the first ones say what happened, a flood of others must not fill the disk."""
MAX_LOGS: Final = 1_000


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`witness.json`: the witness' name and the verifier keys of the logs it signs for."""

    v: Literal[1]
    name: str
    logs: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_LOGS)]


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """The checkpoint signed last for one origin; the note is empty as long as none was."""

    v: Literal[1]
    origin: str
    size: Count
    note: str
    time_s: Count


class Conflict(Struct, frozen=True, forbid_unknown_fields=True):
    """Evidence: what was signed before, and what the same log then signed, with the way that leads nowhere.

    Two roots for one `size` prove by themselves that the log lied; else the log showed no way from one to the other.
    """

    v: Literal[1]
    code: Literal["two_roots", "no_consistency"]
    origin: str
    signed_before: str
    submitted: str
    proof: Annotated[tuple[Hex32, ...], Meta(max_length=63)]
    time_s: Count


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = TEXT_TYPE


class Witness:
    """One witness with its folder. Used from one thread: checking and recording are one step."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that `create_witness` made. Raises ConfigError, KeyFileError, DecodeError."""
        self._folder = folder
        self.settings = read_settings(folder)
        self._key = load_key(folder / KEY, "ed25519")
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in map(parse_vkey, self.settings.logs):
            self._logs.setdefault(key.name, []).append(key)
        self._records = {origin: self._load(origin) for origin in self._logs}

    @property
    def vkey(self) -> str:
        """The witness' verifier key."""
        return witness_key(self.settings.name, self._key).vkey

    @property
    def records(self) -> tuple[Record, ...]:
        """What was signed last, for each log."""
        return tuple(self._records.values())

    def add_checkpoint(self, body: bytes, time_s: int) -> Answer:
        """The answer to `add-checkpoint` at `time_s`, seconds since 1970. Raises OSError: then nothing was signed."""
        try:
            submission = parse_submission(body)
            checkpoint = parse_checkpoint(submission.note.text)
        except DecodeError as error:
            return _refuse(400, str(error))
        keys, record = self._logs.get(checkpoint.origin), self._records.get(checkpoint.origin)
        if keys is None or record is None:
            return _refuse(404, "unknown_origin: this witness does not know the log")
        try:
            verify_note(submission.note, keys)
        except SignatureError as error:
            return _refuse(403, str(error))
        if submission.old_size > checkpoint.size:
            return _refuse(400, "old_size: the old size is above the checkpoint's")
        if submission.old_size != record.size:
            self._keep_two_roots(record, checkpoint, submission, time_s)
            return _conflict(record)
        return self._judge(record, checkpoint, submission, time_s)

    def _judge(self, record: Record, checkpoint: Checkpoint, submission: Submission, time_s: int) -> Answer:
        if record.size == checkpoint.size and record.note:
            if self._keep_two_roots(record, checkpoint, submission, time_s):
                return _conflict(record)
            if submission.proof:
                return _refuse(422, "length: equal sizes are proved by no hash at all")
        elif record.size:
            before = parse_checkpoint(parse_note(record.note.encode()).text)
            try:
                verify_consistency(before.size, checkpoint.size, before.root, checkpoint.root, submission.proof)
            except InvalidProof as error:
                self._keep("no_consistency", record, submission, time_s)
                return _refuse(422, str(error))
        elif submission.proof:
            return _refuse(422, "length: nothing leads from an empty log")
        return self._sign(checkpoint, submission, time_s)

    def _sign(self, checkpoint: Checkpoint, submission: Submission, time_s: int) -> Answer:
        note = encode_note(submission.note)
        record = Record(1, checkpoint.origin, checkpoint.size, note.decode(), time_s)
        write_whole(record_path(self._folder, checkpoint.origin), encode(record))
        self._records[checkpoint.origin] = record
        line = cosign_text(submission.note.text, self.settings.name, self._key.secret, time_s).line
        return Answer(200, (line + "\n").encode())

    def _keep_two_roots(self, record: Record, checkpoint: Checkpoint, submission: Submission, time_s: int) -> bool:
        if not record.note or record.size != checkpoint.size:
            return False
        if parse_checkpoint(parse_note(record.note.encode()).text).root == checkpoint.root:
            return False
        self._keep("two_roots", record, submission, time_s)
        return True

    def _keep(
        self, code: Literal["two_roots", "no_consistency"], record: Record, submission: Submission, time_s: int
    ) -> None:
        note = encode_note(submission.note).decode()
        name = hashlib.sha256((record.note + note).encode()).hexdigest()[:16]
        path = self._folder / f"conflict-{name}.json"
        if path.exists() or len(conflict_paths(self._folder)) >= MAX_CONFLICTS:
            return
        proof = tuple(item.hex() for item in submission.proof)
        write_whole(path, encode(Conflict(1, code, record.origin, record.note, note, proof, time_s)))

    def _load(self, origin: str) -> Record:
        path = record_path(self._folder, origin)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                "record_missing",
                [(str(path), f"not readable ({error.strerror}); a witness that forgot what it signed needs a new key")],
            ) from None
        return decode_record(data)


def create_witness(folder: Path, name: str, logs: tuple[str, ...]) -> str:
    """Make the folder of a witness called `name` for the logs with these verifier keys; its own verifier key.

    Raises ConfigError `exists`, DecodeError, SignatureError, KeyFileError.
    """
    check_key_name(name)
    keys = [parse_vkey(vkey) for vkey in logs]
    if any(key.kind != ED25519 for key in keys):
        raise DecodeError("vkey", "a log's verifier key is of type 0x01")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError("exists", [(str(folder), "not empty; name a new folder")])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = generate_key("ed25519")
    save_key(folder / KEY, key)
    for origin in {item.name for item in keys}:
        write_whole(record_path(folder, origin), encode(Record(1, origin, 0, "", 0)))
    write_whole(folder / SETTINGS, encode(Settings(1, name, logs)))
    return witness_key(name, key).vkey


def witness_key(name: str, key: KeyPair) -> VerifierKey:
    """The verifier key of a witness."""
    return VerifierKey(name, COSIGNATURE, key.public)


def read_settings(folder: Path) -> Settings:
    """The settings of a witness' folder. Raises ConfigError `witness`, DecodeError."""
    path = folder / SETTINGS
    try:
        data = path.read_bytes()
    except OSError as error:
        fault = f"not readable ({error.strerror}); claimnode witness init makes it"
        raise ConfigError("witness", [(str(path), fault)]) from None
    return decode_settings(data)


def decode_settings(data: bytes) -> Settings:
    """`witness.json`. Raises DecodeError."""
    return decode_as(data, Settings, limit=MAX_SETTINGS_BYTES)


def decode_record(data: bytes) -> Record:
    """What was signed last for one log. Raises DecodeError."""
    record = decode_as(data, Record, limit=MAX_RECORD_BYTES)
    if record.note:
        checkpoint = parse_checkpoint(parse_note(record.note.encode()).text)
        if (checkpoint.origin, checkpoint.size) != (record.origin, record.size):
            raise DecodeError("record", "the note is not of the origin and size that stand beside it")
    elif record.size:
        raise DecodeError("record", "a size was signed, but the note is missing")
    return record


def record_path(folder: Path, origin: str) -> Path:
    """The file that holds what was signed last for a log."""
    return folder / f"log-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.json"


def conflict_paths(folder: Path) -> list[Path]:
    """Files of evidence."""
    return sorted(folder.glob("conflict-*.json"))


def _refuse(status: int, text: str) -> Answer:
    return Answer(status, (text + "\n").encode())


def _conflict(record: Record) -> Answer:
    return Answer(409, b"%d\n" % record.size, SIZE_TYPE)

"""Checkpoints, cosignatures and tiles against another implementation, both ways: Go's x/mod and its formats.

Neither side knows the other's code: what this project writes, Go's libraries verify down to each entry; what they
write, this project verifies.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoints import parse_checkpoint, sign_checkpoint
from ledger.crypto import ed25519
from ledger.logtiles import MAX_LEVEL, tile_path
from ledger.merkle import Log, leaf_hash
from ledger.notes import (
    COSIGNATURE,
    ED25519,
    VerifierKey,
    cosign_text,
    encode_note,
    parse_note,
    parse_vkey,
    verify_note,
    with_signatures,
)
from node.witnessing.log import PublishedLog
from tests.support.memory_log import MemoryLog

MODULE = Path(__file__).parent
REQUIRED = "CLAIMNODE_REQUIRE_GO"
"""Set in the gate: then a missing `go` is a failure."""
SEED, WITNESS_SEED = b"\x11" * 32, b"\x12" * 32
ORIGIN = "claimnode.example/interop/00"
LOG_KEY = VerifierKey(ORIGIN, ED25519, ed25519.public_key(SEED))
WITNESS_KEY = VerifierKey("witness.example/w1", COSIGNATURE, ed25519.public_key(WITNESS_SEED))
TIME_S = 1_800_000_000
OLD = 100

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built once."""
    go = shutil.which("go")
    if go is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set and there is no go on the path")
        pytest.skip("no go on this machine: the other implementation cannot be built")
    out = tmp_path_factory.mktemp("go") / "interop"
    built = subprocess.run([go, "build", "-o", out, "."], cwd=MODULE, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


def ask(program: Path, **request: Any) -> subprocess.CompletedProcess[str]:
    text = json.dumps(request, default=lambda data: base64.b64encode(data).decode())
    return subprocess.run([program], input=text, capture_output=True, text=True, check=False, timeout=120)


def story(size: int) -> dict[str, Any]:
    """What a stranger fetches from a node: its checkpoint, and every tile that it needs."""
    entries = [b"entry %d" % number for number in range(size)]
    log = PublishedLog(MemoryLog(entries), ORIGIN, lambda: SEED)
    checkpoint, note = log.checkpoint()
    note = with_signatures(note, [cosign_text(note.text, WITNESS_KEY.name, WITNESS_SEED, TIME_S)])
    tiles = {}
    for level in range(MAX_LEVEL):
        there = size >> 8 * level
        for index in range(-(-there // 256)):
            width = min(256, there - 256 * index)
            tiles[tile_path(level, index, width)] = log.tile(level, index, width)
    old = min(OLD, size)
    return {
        "checkpoint": encode_note(note),
        "origin": checkpoint.origin,
        "log": LOG_KEY.vkey,
        "witness": WITNESS_KEY.vkey,
        "tiles": tiles,
        "entries": entries[:5],
        "old": old,
        "old_root": Log(leaf_hash(entry) for entry in entries[:old]).root(),
        "proof": log.consistency(old, size),
    }


@pytest.mark.parametrize("size", [5, 256, 1000, 70_000])
def test_each_verifies_what_the_other_wrote(program: Path, size: int) -> None:
    request = story(size)
    ran = ask(program, **request)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["size"], found["signatures"]) == (size, 2)
    theirs = base64.b64decode(found["note"])
    note = parse_note(theirs)
    keys = [parse_vkey(found["vkey"]), parse_vkey(found["witness_vkey"])]
    log, witness = verify_note(note, keys)
    assert (log.key.kind, witness.key.kind) == (ED25519, COSIGNATURE)
    assert witness.time_s is not None
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("go.example/log", size)
    assert checkpoint.root == parse_checkpoint(parse_note(request["checkpoint"]).text).root
    assert encode_note(note) == theirs


def test_the_other_implementation_refuses_what_is_spoilt(program: Path) -> None:
    good = story(1000)
    spoilt = bytearray(good["tiles"]["tile/0/000"])
    spoilt[40] ^= 1
    other = sign_checkpoint(parse_checkpoint(parse_note(good["checkpoint"]).text), b"\x13" * 32)
    for change in (
        {"tiles": good["tiles"] | {"tile/0/000": bytes(spoilt)}},
        {"checkpoint": good["checkpoint"].replace(b"\n1000\n", b"\n1001\n")},
        {"checkpoint": encode_note(other)},
        {"entries": [b"another"]},
        {"old_root": bytes(32)},
    ):
        assert ask(program, **(good | change)).returncode == 1, change.keys()

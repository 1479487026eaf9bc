"""A witness and a node that asks it: only what follows is signed, what contradicts is kept, nothing is forgotten."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from ledger.checkpoints import Submission, encode_submission, note_key, parse_checkpoint, sign_checkpoint
from ledger.crypto import ed25519
from ledger.errors import DecodeError, SignatureError
from ledger.notes import (
    ED25519,
    NoteSignature,
    VerifierKey,
    cosign_text,
    encode_note,
    parse_note,
    parse_vkey,
    verify_note,
)
from node.errors import ConfigError, Unavailable
from node.witnessing.collector import Collector
from node.witnessing.evidence import decode_conflict, judge_conflict
from node.witnessing.log import PublishedLog
from node.witnessing.server import witness_app
from node.witnessing.settings import WitnessAddress, WitnessConfig
from node.witnessing.witness import SIZE_TYPE, Witness, conflict_paths, create_witness, record_path
from tests.support.memory_log import MemoryLog

SEED = b"n" * 32
ORIGIN = "claimnode.example/test/00"
KEY = VerifierKey(ORIGIN, ED25519, ed25519.public_key(SEED))
NOW_S = 1_800_000_000
URL = "http://witness"


def entries(first: int, count: int, mark: str = "") -> list[bytes]:
    return [f"{mark}{number}".encode() for number in range(first, first + count)]


class Clock:
    """A hand-moved clock."""

    now_s = NOW_S

    def now_ms(self) -> int:
        return self.now_s * 1000

    def monotonic_ms(self) -> int:
        return 0


class Scene:
    """One log, one witness, and the node's side between them."""

    def __init__(self, folder: Path, log: MemoryLog | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        (folder / "data").mkdir(exist_ok=True)
        if not (folder / "w").exists():
            self.vkey = create_witness(folder / "w", "witness.example/w1", (KEY.vkey,))
        self.witness = Witness(folder / "w")
        self.vkey = self.witness.vkey
        self.asked: list[int] = []
        self.use(log or MemoryLog(entries(0, 10)))

    def use(self, log: MemoryLog, **options: Any) -> None:
        """Another log behind the same node key."""
        self.log = log
        self.published = PublishedLog(log, ORIGIN, lambda: SEED)
        config = WitnessConfig(witnesses=[WitnessAddress(url=URL, vkey=self.vkey)], **options)
        say = structlog.get_logger()
        self.collector = Collector(self.published, config, self.folder / "data", self.clock, self.post, say)
        self.collector.load()

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        answer = self.witness.add_checkpoint(body, self.clock.now_s)
        self.asked.append(answer.status)
        return answer.status, answer.body

    def submit(self, old: int, log: MemoryLog | None = None, **changes: Any) -> Any:
        """One request as anybody could make it."""
        published = PublishedLog(log or self.log, ORIGIN, lambda: SEED)
        checkpoint, note = published.checkpoint()
        proof = changes.get("proof", published.consistency(old, checkpoint.size) if old <= checkpoint.size else ())
        return self.witness.add_checkpoint(encode_submission(Submission(old, proof, changes.get("note", note))), NOW_S)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def go(work: Callable[[], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        return await work()

    return asyncio.run(play())


def test_a_growing_log_is_cosigned_and_published_with_the_cosignature(scene: Scene) -> None:
    go(scene.collector.round)
    note, count = scene.collector.published()
    assert count == 1
    found = verify_note(note, [KEY, parse_vkey(scene.vkey)])
    assert [item.time_s for item in found] == [None, NOW_S]
    scene.log.add(entries(10, 300))
    assert scene.collector.published()[0] == note, "the witnessed checkpoint stays until the next is witnessed"
    go(scene.collector.round)
    assert parse_checkpoint(scene.collector.published()[0].text).size == 310
    assert scene.asked == [200, 200]
    assert scene.collector.status()["state"] == "witnessed"


def test_two_nodes_of_one_log_share_the_witness_record(scene: Scene) -> None:
    go(scene.collector.round)
    scene.log.add(entries(10, 5))
    second = Scene(scene.folder, scene.log)
    second.witness = scene.witness
    go(second.collector.round)
    assert second.asked == [409, 200], "told the size, given the way from there"
    assert second.collector.published()[1] == 1


def test_the_specification_s_refusals(scene: Scene) -> None:
    assert scene.witness.add_checkpoint(b"nonsense", NOW_S).status == 400
    stranger = sign_checkpoint(scene.published.checkpoint()[0], b"x" * 32)
    assert scene.submit(0, note=stranger).status == 403
    other = PublishedLog(scene.log, "claimnode.example/other/00", lambda: SEED).checkpoint()[1]
    assert scene.submit(0, note=other).status == 404
    assert scene.submit(11).status == 400
    assert scene.submit(0, proof=(bytes(32),)).status == 422
    assert scene.submit(3).status == 409
    assert scene.submit(0).status == 200
    again = scene.submit(0)
    assert (again.status, again.body, again.content_type) == (409, b"10\n", SIZE_TYPE)
    assert scene.submit(10).status == 200, "the same size and root are signed again"
    assert scene.submit(10, proof=(bytes(32),)).status == 422
    scene.log.add(entries(10, 5))
    assert scene.submit(10, proof=()).status == 422
    assert scene.submit(10).status == 200
    older = MemoryLog(entries(0, 10))
    assert scene.submit(10, older).status == 409, "never back to a smaller log"


def test_the_record_is_on_disk_before_the_signature_leaves(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.submit(0)
    assert Witness(scene.folder / "w").records[0].size == 10
    scene.log.add(entries(10, 1))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("node.witnessing.witness.write_whole", full)
    with pytest.raises(OSError, match="No space"):
        scene.submit(10)
    assert scene.witness.records[0].size == 10
    monkeypatch.undo()
    assert scene.submit(10).status == 200


def test_a_witness_that_lost_its_record_does_not_start_afresh(scene: Scene) -> None:
    scene.submit(0)
    record_path(scene.folder / "w", ORIGIN).unlink()
    with pytest.raises(ConfigError) as caught:
        Witness(scene.folder / "w")
    assert caught.value.code == "record_missing"


def test_a_rewritten_ledger_gets_no_cosignature_and_both_notes_are_kept(scene: Scene) -> None:
    """More than two thirds of the validators rewrite entry 5 and go on; the node has forgotten what it published."""
    go(scene.collector.round)
    before, _ = scene.collector.published()
    (scene.folder / "data" / "checkpoint").unlink()
    scene.use(MemoryLog([*entries(0, 5), b"rewritten", *entries(6, 40)]))
    go(scene.collector.round)
    assert scene.asked[1:] == [409, 422]
    note, count = scene.collector.published()
    assert count == 0
    with pytest.raises(SignatureError):
        verify_note(note, [parse_vkey(scene.vkey)])
    assert scene.collector.is_short()
    assert scene.collector.status()["state"] == "NOT WITNESSED"
    assert scene.collector.status()["faults"] == {URL: "inconsistent"}
    (path,) = conflict_paths(scene.folder / "w")
    conflict = decode_conflict(path.read_bytes())
    assert (conflict.code, conflict.submitted) == ("no_consistency", encode_note(note).decode())
    assert parse_note(conflict.signed_before.encode()).text == before.text
    verdict = judge_conflict(conflict, [KEY])
    assert (verdict.verdict, verdict.sizes) == ("unexplained", (10, 46))


def test_two_roots_for_one_size_convict_by_themselves(scene: Scene) -> None:
    scene.submit(0)
    twin = MemoryLog([*entries(0, 9), b"another"])
    for old in (10, 0):
        answer = scene.submit(old, twin)
        assert (answer.status, answer.body) == (409, b"10\n")
    (path,) = conflict_paths(scene.folder / "w")
    conflict = decode_conflict(path.read_bytes())
    assert judge_conflict(conflict, [KEY]).verdict == "two_histories"
    with pytest.raises(SignatureError):
        judge_conflict(conflict, [VerifierKey(ORIGIN, ED25519, ed25519.public_key(b"x" * 32))])


def test_evidence_that_shows_nothing_convicts_nobody(scene: Scene) -> None:
    scene.submit(0)
    old = encode_note(scene.published.checkpoint()[1]).decode()
    scene.log.add(entries(10, 5))
    new = encode_note(scene.published.checkpoint()[1]).decode()
    proof = tuple(item.hex() for item in scene.published.consistency(10, 15))
    conflict = decode_conflict_of(old, new, proof)
    for item in (conflict, decode_conflict_of(old, old, ())):
        with pytest.raises(DecodeError) as caught:
            judge_conflict(item, [KEY])
        assert caught.value.code == "evidence"


def decode_conflict_of(before: str, then: str, proof: tuple[str, ...]) -> Any:
    from ledger.encoding import encode
    from node.witnessing.witness import Conflict

    return decode_conflict(encode(Conflict(1, "no_consistency", ORIGIN, before, then, proof, NOW_S)))


def test_a_node_finds_out_itself_when_its_ledger_no_longer_leads_to_what_it_published(scene: Scene) -> None:
    go(scene.collector.round)
    scene.use(scene.log)
    assert scene.collector.published()[1] == 1, "the kept checkpoint survives a restart"
    scene.use(MemoryLog([b"rewritten", *entries(1, 40)]))
    assert scene.collector.rewritten
    assert scene.collector.is_short()
    with pytest.raises(Unavailable) as caught:
        scene.collector.published()
    assert caught.value.code == "history_rewritten"
    asked = len(scene.asked)
    go(scene.collector.round)
    assert len(scene.asked) == asked, "what does not follow is not signed"
    scene.use(MemoryLog(entries(0, 4)))
    assert not scene.collector.rewritten, "a restored ledger that is only behind is none that was rewritten"


def test_an_old_cosignature_no_longer_counts(scene: Scene) -> None:
    go(scene.collector.round)
    assert not scene.collector.is_short()
    scene.clock.now_s += 601
    assert scene.collector.is_short()
    go(scene.collector.round)
    assert not scene.collector.is_short()


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (200, b"", "note"),
        (200, "— witness.example/w1 AAAAAAA=\n".encode(), "unsigned"),
        (200, b"\xff\n", "note"),
        (200, b"x" * 20_000 + b"\n", "note"),
        (409, b"many\n", "inconsistent"),
        (409, b"11\n", "behind"),
        (409, b"0\n", "inconsistent"),
        (500, b"", "status_500"),
    ],
)
def test_whatever_a_witness_answers_the_node_goes_on(scene: Scene, status: int, answer: bytes, code: str) -> None:
    async def odd(url: str, body: bytes) -> tuple[int, bytes]:
        return status, answer

    scene.post = odd  # type: ignore[method-assign]
    scene.use(scene.log)
    go(scene.collector.round)
    assert scene.collector.status()["faults"] == {URL: code}
    assert scene.collector.published()[1] == 0


def test_a_false_cosignature_under_the_right_key_id_is_refused(scene: Scene) -> None:
    """It must not get into the note: a false line of a known key spoils the note for every reader."""

    async def false(url: str, body: bytes) -> tuple[int, bytes]:
        line = cosign_text(b"another text\n", "witness.example/w1", b"\x07" * 32, NOW_S)
        key_id = parse_vkey(scene.vkey).key_id
        return 200, (NoteSignature(line.name, key_id, line.signature).line + "\n").encode()

    scene.post = false  # type: ignore[method-assign]
    scene.use(scene.log)
    go(scene.collector.round)
    assert scene.collector.status()["faults"] == {URL: "bad_signature"}
    assert scene.collector.published()[1] == 0


def test_a_cosignature_by_another_key_does_not_count(scene: Scene) -> None:
    shutil.move(scene.folder / "w", scene.folder / "w0")
    false = create_witness(scene.folder / "w", "witness.example/w1", (KEY.vkey,))
    assert false != scene.vkey
    scene.witness = Witness(scene.folder / "w")
    go(scene.collector.round)
    assert scene.collector.published()[1] == 0


def test_two_required_of_two(tmp_path: Path) -> None:
    scenes = [Scene(tmp_path / name) for name in ("a", "b") if not (tmp_path / name).mkdir()]
    down = False

    async def post(url: str, body: bytes) -> tuple[int, bytes]:
        if url.endswith("1") and down:
            raise Unavailable("witness_unreachable", "down")
        return await scenes[int(url[-1])].post(url, body)

    config = WitnessConfig(
        witnesses=[WitnessAddress(url=URL + str(at), vkey=each.vkey) for at, each in enumerate(scenes)], required=2
    )
    first = scenes[0]
    collector = Collector(first.published, config, tmp_path, first.clock, post, structlog.get_logger())
    go(collector.round)
    assert collector.published()[1] == 2
    first.log.add(entries(10, 10))
    down = True
    go(collector.round)
    assert parse_checkpoint(collector.published()[0].text).size == 10, "one of two is not enough"
    assert collector.status()["faults"] == {URL + "1": "witness_unreachable"}


def test_over_http(scene: Scene) -> None:
    async def play() -> None:
        transport = httpx2.ASGITransport(app=witness_app(scene.witness, lambda: NOW_S))
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
            checkpoint, note = scene.published.checkpoint()
            body = encode_submission(Submission(0, (), note))
            good = await client.post("/add-checkpoint", content=body)
            assert (good.status_code, good.text[:2]) == (200, "— ")
            again = await client.post("/add-checkpoint", content=body)
            assert (again.status_code, again.text) == (409, f"{checkpoint.size}\n")
            assert again.headers["content-type"] == SIZE_TYPE
            assert (await client.get("/add-checkpoint")).status_code == 405
            assert (await client.post("/other")).status_code == 404
            assert (await client.post("/add-checkpoint", content=b"x" * 2**20)).status_code == 413
            assert (await client.get("/healthz")).status_code == 200

    asyncio.run(play())


def test_configuration_refuses_a_log_s_key_and_more_than_there_are(scene: Scene) -> None:
    for bad in (
        {"witnesses": [{"url": URL, "vkey": note_key("n", bytes(32), KEY.public).vkey}]},
        {"witnesses": [{"url": "ftp://x", "vkey": scene.vkey}]},
        {"witnesses": [{"url": URL, "vkey": scene.vkey}] * 2},
        {"witnesses": [{"url": URL, "vkey": scene.vkey}], "required": 2},
        {"required": 1},
    ):
        with pytest.raises(ValueError):
            WitnessConfig.model_validate(bad)

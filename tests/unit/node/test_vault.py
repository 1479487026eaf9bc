"""The vault: what is kept, under which key, how long, and what comes back after a restart."""

from pathlib import Path

import pytest

from ledger.crypto.envelopes import Envelope, open_envelope, seal
from ledger.crypto.keys import key_from_secret
from node.vault import Parcel, Vault, VaultError
from node.vault import outbox as outbox_module
from node.vault import vault as vault_module
from node.vault.errors import ParcelRefused
from node.vault.parcels import decode_parcel, encode_parcel
from tests.support.network_builder import make_bytes, make_hex

OWNER = key_from_secret("x25519", make_bytes("owner"))
KEY = make_bytes("vault key")
SUBJECT = make_hex("subject")


class Clock:
    now = 1_000_000


def open_vault(folder: Path, key: bytes = KEY) -> Vault:
    return Vault(folder, key, now_ms=lambda: Clock.now, durable=False)


def make_envelope(text: bytes = b'{"a":1}', subject: str = SUBJECT) -> Envelope:
    return seal(text, network="test.claims", subject=subject, recipients=[OWNER.public])


def make_parcel(text: bytes = b'{"a":1}') -> Parcel:
    return Parcel("record", SUBJECT, None, make_envelope(text))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    Clock.now = 1_000_000
    return open_vault(tmp_path)


def test_a_secret_comes_back_after_a_restart_and_only_with_the_key(vault: Vault, tmp_path: Path) -> None:
    vault.put_secret("account/x/0", {"left_fen": 4711})
    vault.close()
    again = open_vault(tmp_path)
    assert again.get_secret("account/x/0") == {"left_fen": 4711}
    again.close()
    with pytest.raises(VaultError, match="damaged"):
        open_vault(tmp_path, make_bytes("another key"))


def test_a_secret_under_another_name_does_not_open(vault: Vault) -> None:
    vault.put_secret("account/x/0", {"left_fen": 1})
    sealed = vault._sealer.seal("account/x/1", {"left_fen": 1})
    with pytest.raises(VaultError, match="damaged"):
        vault._sealer.open("account/x/0", sealed)


def test_no_secret_stands_in_clear_on_the_disk(vault: Vault, tmp_path: Path) -> None:
    vault.put_secret("policy/x", {"name": "SECRET-MARK"})
    vault.store_parcel(make_parcel(b'{"name":"SECRET-MARK"}'), "hospital")
    vault.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"SECRET-MARK" not in path.read_bytes()


def test_a_deleted_secret_is_gone(vault: Vault) -> None:
    vault.put_secret("pool/a/0", 1)
    vault.delete_secret("pool/a/0")
    assert vault.get_secret("pool/a/0") is None
    with pytest.raises(VaultError, match="missing"):
        vault.need_secret("pool/a/0")


def test_a_parcel_is_kept_once_and_opens(vault: Vault) -> None:
    parcel = make_parcel()
    first, second = vault.store_parcel(parcel, "hospital"), vault.store_parcel(parcel, "hospital")
    assert first == second
    assert vault.open_parcel(vault.parcels("record", SUBJECT)[0], OWNER.secret) == {"a": 1}
    with pytest.raises(VaultError, match="no_recipient"):
        vault.open_parcel(first, make_bytes("stranger"))


def test_a_pending_parcel_is_invisible_until_it_is_confirmed(vault: Vault) -> None:
    stored = vault.store_parcel(make_parcel(), "hospital", pending=True)
    assert vault.parcels("record", SUBJECT) == ()
    assert vault.pending() == (stored,)
    vault.confirm(stored)
    assert [item.id for item in vault.parcels("record", SUBJECT)] == [stored.id]
    assert vault.pending() == ()


def test_pending_parcels_are_bounded_for_each_sender(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "MAX_PENDING_OF_SENDER", 2)
    monkeypatch.setattr(vault_module, "MAX_PENDING", 3)
    for text in (b'{"n":1}', b'{"n":2}'):
        vault.store_parcel(make_parcel(text), "hospital", pending=True)
    with pytest.raises(ParcelRefused, match="pending_full"):
        vault.store_parcel(make_parcel(b'{"n":3}'), "hospital", pending=True)
    vault.store_parcel(make_parcel(b'{"n":4}'), "hospital-two", pending=True)
    with pytest.raises(ParcelRefused, match="pending_full"):
        vault.store_parcel(make_parcel(b'{"n":5}'), "insurer", pending=True)
    vault.store_parcel(make_parcel(b'{"n":6}'), "hospital")


def test_no_sender_fills_the_disk_with_one_subject(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "MAX_OF_SUBJECT", 2)
    for text in (b'{"n":1}', b'{"n":2}'):
        vault.store_parcel(make_parcel(text), "insurer")
    with pytest.raises(ParcelRefused, match="too_many"):
        vault.store_parcel(make_parcel(b'{"n":3}'), "insurer")
    vault.store_parcel(make_parcel(b'{"n":3}'), "insurer-two")


def test_what_no_block_confirms_is_dropped_with_its_ciphertext(vault: Vault) -> None:
    stored = vault.store_parcel(make_parcel(), "hospital", pending=True)
    Clock.now += vault_module.PENDING_MS + 1
    assert vault.pending() == ()
    with pytest.raises(VaultError, match="missing"):
        vault.envelope(stored.digest)


def test_a_changed_file_is_named_damaged(vault: Vault, tmp_path: Path) -> None:
    stored = vault.store_parcel(make_parcel(), "hospital")
    path = next((tmp_path / "envelopes").glob(f"??/{stored.digest}"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(VaultError, match="damaged"):
        vault.envelope(stored.digest)


def test_a_half_written_file_is_cleared_away_at_the_start(vault: Vault, tmp_path: Path) -> None:
    vault.store_parcel(make_parcel(), "hospital")
    vault.close()
    folder = next((tmp_path / "envelopes").glob("??"))
    (folder / ".new-crashed").write_bytes(b"half")
    open_vault(tmp_path)
    assert not (folder / ".new-crashed").exists()


def test_an_outbox_row_is_tried_again_later_and_later_until_acknowledged(vault: Vault) -> None:
    digest = vault.store_parcel(make_parcel(), "me").digest
    vault.outbox.add(["tpa", "tpa"], "record", SUBJECT, None, digest)
    waits = []
    for _ in range(14):
        item = vault.outbox.due("tpa", 10)[0]
        vault.outbox.retry(item, "unreachable")
        due = vault.outbox.next_due_ms()
        assert due is not None
        waits.append(due - Clock.now)
        Clock.now = due
    assert waits[:4] == [500, 1_000, 2_000, 4_000]
    assert waits[-1] == outbox_module.LONGEST_RETRY_MS
    vault.outbox.acknowledge(vault.outbox.due("tpa", 10)[0])
    assert vault.outbox.due("tpa", 10) == ()
    assert vault.outbox.owed() == 0


def test_held_rows_leave_only_when_released(vault: Vault) -> None:
    digest = vault.store_parcel(make_parcel(), "me").digest
    vault.outbox.add(["tpa"], "record", SUBJECT, None, digest, held=True)
    assert vault.outbox.due("tpa", 10) == ()
    assert vault.outbox.release("record", SUBJECT) == 1
    assert len(vault.outbox.due("tpa", 10)) == 1
    vault.outbox.add(["insurer"], "record", SUBJECT, None, digest, held=True)
    assert vault.outbox.cancel("record", SUBJECT) == 1
    assert [item.recipient for item in vault.outbox.due("tpa", 10)] == ["tpa"]


def test_the_outbox_is_bounded_for_each_recipient(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MAX_OF_RECIPIENT", 1)
    vault.outbox.add(["tpa"], "record", SUBJECT, None, make_hex("one"))
    with pytest.raises(VaultError, match="outbox_full"):
        vault.outbox.add(["tpa"], "record", SUBJECT, None, make_hex("two"))
    vault.outbox.add(["insurer"], "record", SUBJECT, None, make_hex("two"))


def test_a_cause_that_comes_in_while_work_is_done_is_not_put_off_with_it(vault: Vault) -> None:
    work = vault.work
    work.wake("insurer", "claim")
    item = work.due("insurer", 10)[0]
    work.wake("insurer", "claim")
    work.put_off(item, "waiting")
    work.finish(item, "done")
    assert [found.subject for found in work.due("insurer", 10)] == ["claim"]
    work.finish(work.due("insurer", 10)[0], "done")
    assert work.due("insurer", 10) == ()


def test_the_cursor_survives_a_restart_and_never_skips_work(vault: Vault, tmp_path: Path) -> None:
    vault.work.move_cursor("insurer", 7)
    vault.work.skip_to("insurer", 8)
    assert vault.work.cursor("insurer") == 8
    vault.close()
    assert open_vault(tmp_path).work.cursor("insurer") == 7, "a block without work may be read again"


def test_a_transaction_that_fails_leaves_nothing(vault: Vault) -> None:
    def fail() -> None:
        with vault.transaction():
            vault.put_secret("account/x/0", 1)
            vault.work.wake("insurer", "claim")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert vault.get_secret("account/x/0") is None
    assert vault.work.due("insurer", 10) == ()


def test_lists_keep_their_order_and_their_filter(vault: Vault) -> None:
    for subject in ("c", "a", "b"):
        vault.work.list_as("insurer", subject, "reported")
    vault.work.list_as("insurer", "a", "closed")
    assert [row[1] for row in vault.work.listed("insurer")] == ["c", "a", "b"]
    assert vault.work.listed("insurer", statuses=["closed"]) == ((2, "a", "closed"),)
    assert [row[1] for row in vault.work.listed("insurer", after=2)] == ["b"]


def test_a_parcel_travels_and_nonsense_is_refused() -> None:
    parcel = make_parcel()
    assert decode_parcel(encode_parcel(parcel)) == parcel
    assert open_envelope(decode_parcel(encode_parcel(parcel)).envelope, OWNER.secret) == b'{"a":1}'
    data = encode_parcel(parcel)
    for broken in (b"", b"\x00\x00\x00\x01", data[:200], data[:-1], b"\xff" * 100, data[:4] + b"[" + data[5:]):
        with pytest.raises(ParcelRefused, match="form"):
            decode_parcel(broken)
    renamed = Parcel("record", make_hex("another"), None, parcel.envelope)
    with pytest.raises(ParcelRefused, match="subject"):
        decode_parcel(encode_parcel(renamed))
    other_kind = Parcel("pool", SUBJECT, None, parcel.envelope)
    with pytest.raises(ParcelRefused, match="subject"):
        decode_parcel(encode_parcel(other_kind))

"""The RFC 6962 vectors of transparency-dev: 98 inclusion and 98 consistency proofs, good and bad.

One good consistency proof has roots of 14 bytes, which stand for "any". We refuse whatever is not a SHA-256
hash, so it is expected to fail. The folder also holds proofs about subtrees, a later draft that we do not use.
"""

from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec

from ledger.errors import InvalidProof
from ledger.merkle import verify_consistency, verify_inclusion
from tests.support.realdata import real_data_dir, requires_real_data

pytestmark = requires_real_data

ROOTS_OF_14_BYTES = "sizes-are-equal-one-and-proof-is-empty"


def _cases(kind: str) -> list[tuple[Path, dict[str, Any]]]:
    folder = real_data_dir("vectors", "merkle-rfc6962", "testdata", kind)
    return [(path, msgspec.json.decode(path.read_bytes())) for path in sorted(folder.rglob("*.json"))]


def _hashes(values: list[str] | None) -> list[bytes]:
    return [b64decode(value) for value in values or []]


def _inclusion(case: dict[str, Any]) -> None:
    leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
    verify_inclusion(leaf, case["leafIdx"], case["treeSize"], _hashes(case["proof"]), root)


def _consistency(case: dict[str, Any]) -> None:
    root1, root2 = b64decode(case["root1"]), b64decode(case["root2"])
    verify_consistency(case["size1"], case["size2"], root1, root2, _hashes(case["proof"]))


def _is_refused(verify: Any, case: dict[str, Any]) -> bool:
    try:
        verify(case)
    except InvalidProof:
        return True
    return False


def test_inclusion_proofs() -> None:
    cases = _cases("inclusion")
    assert len(cases) == 98
    assert [str(path) for path, case in cases if _is_refused(_inclusion, case) != case["wantErr"]] == []


def test_consistency_proofs() -> None:
    cases = _cases("consistency")
    assert len(cases) == 98
    wrong = [path.stem for path, case in cases if _is_refused(_consistency, case) != case["wantErr"]]
    assert wrong == [ROOTS_OF_14_BYTES]

"""Commitments hide and bind; identifiers are derived, each under its own tag."""

import pytest

from contracts import identifiers
from contracts.commitments import (
    MAX_FIELDS,
    commit,
    commit_document,
    commit_leaves,
    document_leaves,
    field_leaf,
    field_salt,
)
from contracts.errors import InputError
from tests.support.network_builder import make_hex

SALT = make_hex("salt")


def test_an_opening_needs_its_own_salt() -> None:
    for salt in (None, "", "00", 7, SALT + "00"):
        with pytest.raises(InputError) as caught:
            commit("terms", {"salt": salt, "x": 1})
        assert (caught.value.code, caught.value.path) == ("salt", "/salt")
    with pytest.raises(InputError):
        commit("terms", {"x": 1})


def test_kind_salt_and_content_each_change_the_commitment() -> None:
    one = commit("terms", {"salt": SALT, "x": 1})
    others = {
        commit("result", {"salt": SALT, "x": 1}),
        commit("terms", {"salt": make_hex("other"), "x": 1}),
        commit("terms", {"salt": SALT, "x": 2}),
        commit("terms", {"salt": SALT, "x": 1, "y": None}),
    }
    assert one not in others
    assert len(others) == 4
    assert commit("terms", {"x": 1, "salt": SALT}) == one, "the order of fields says nothing"


def test_a_document_can_be_disclosed_field_by_field() -> None:
    document = {"total_fen": 12_300, "diagnoses": ["N84.0"], "patient": {"name": "甲"}}
    commitment = commit_document(document, SALT)
    leaves = dict(document_leaves(document, SALT))
    shown = field_leaf("total_fen", field_salt(SALT, "total_fen"), 12_300)
    assert shown == leaves["total_fen"]
    assert commit_leaves([leaves["diagnoses"], leaves["patient"], shown]) == commitment
    assert commit_leaves([leaves["diagnoses"], leaves["patient"], field_leaf("total_fen", SALT, 12_300)]) != commitment
    assert commit_document(document | {"total_fen": 12_301}, SALT) != commitment
    assert commit_document(document, make_hex("other")) != commitment
    assert list(leaves) == sorted(document)


def test_a_document_has_a_bound() -> None:
    document = {f"field{number}": number for number in range(MAX_FIELDS)}
    commit_document(document, SALT)
    with pytest.raises(InputError) as caught:
        commit_document(document | {"more": 1}, SALT)
    assert caught.value.code == "too_large"


def test_equal_values_in_different_fields_have_different_leaves() -> None:
    leaves = document_leaves({"a": 1, "b": 1}, SALT)
    assert leaves[0][1] != leaves[1][1]


def test_identifiers_are_distinct_and_depend_on_every_part() -> None:
    made = [
        identifiers.derive_consent_id(b"x"),
        identifiers.derive_case_id("x"),
        identifiers.derive_pool_id("x"),
        identifiers.derive_record_id("n", "a", "c"),
        identifiers.derive_record_id("m", "a", "c"),
        identifiers.derive_record_id("n", "b", "c"),
        identifiers.derive_record_id("n", "a", "d"),
        identifiers.derive_claim_id("x", "i"),
        identifiers.derive_claim_id("x", "j"),
        identifiers.derive_payout_id("x", "p", 1),
        identifiers.derive_payout_id("x", "p", 2),
        identifiers.derive_payout_id("x", "q", 1),
        identifiers.derive_product_hash("x", "y"),
        identifiers.derive_product_hash("y", "x"),
        identifiers.derive_tables_hash({"x": 1}),
        identifiers.derive_nullifier(b"x"),
        identifiers.invoice_message("t", "c", "1").hex(),
        identifiers.invoice_message("t", "c1", "").hex(),
    ]
    assert len(set(made)) == len(made)
    assert all(len(item) == 64 for item in made)


def test_the_evidence_root_does_not_depend_on_the_order_of_the_list() -> None:
    records = [(make_hex(f"r{number}"), make_hex(f"c{number}")) for number in range(5)]
    assert identifiers.derive_evidence_root(records) == identifiers.derive_evidence_root(reversed(records))
    assert identifiers.derive_evidence_root(records) != identifiers.derive_evidence_root(records[:4])

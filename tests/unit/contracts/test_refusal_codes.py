"""Every code that the package can put into a receipt is explained, in the list and in the README."""

import ast
import re
from pathlib import Path

import contracts
from contracts.lifecycle import TABLES
from contracts.refusals import REFUSALS, explain_refusal

FOLDER = Path(contracts.__path__[0])
CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)+\Z")
STATUSES = {step.to for table in TABLES.values() for step in table.values()}
SIGNED_NAMES = {"EVIDENCE_INVALID"} | STATUSES
"""Upper-case words of these modules that are no refusals: statuses and the code of a rejected record."""
MODULES = (
    "policies",
    "consents",
    "consentbases",
    "consentforce",
    "delegations",
    "rekeying",
    "records",
    "evidence",
    "claims",
    "adjudication",
    "claimwords",
    "claimwork",
    "deadlines",
    "disputes",
    "withdrawals",
    "auditing",
    "payouts",
    "accounts",
    "holds",
    "recoveries",
    "guarantees",
    "batches",
    "holdlife",
    "risksignals",
    "riskstates",
    "governance",
    "offences",
    "releases",
    "operations",
    "transition",
    "kinds",
    "lifecycle",
)


def constants(name: str) -> set[str]:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def codes_in_use() -> set[str]:
    found = {text for name in MODULES for text in constants(name) if CODE.match(text)}
    found |= {text.upper() for text in constants("tokens") if re.match(r"token_[a-z0-9]+\Z", text)}
    return found - SIGNED_NAMES


def test_the_list_names_exactly_the_codes_in_use() -> None:
    assert codes_in_use() == set(REFUSALS)


def test_the_readme_has_the_same_table() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.+) \|$", text, re.MULTILINE))
    assert rows == REFUSALS


def test_sentences_are_sentences() -> None:
    for text in REFUSALS.values():
        assert text[0].isupper()
        assert text.endswith(".")
    assert explain_refusal("DUPLICATE_OF").startswith("This invoice")
    assert explain_refusal("FROM_A_LATER_VERSION") == "FROM_A_LATER_VERSION"

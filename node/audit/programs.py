"""Claim programs for whoever runs one again: those of the genesis, and those that a dossier carries.

A program that came by vote travels with the dossier as its canonical bundle; its hash is the one in the verdict, so
nobody has to be believed. Must always hold: a dossier carries exactly the programs of its verdict that the trusted
genesis lacks.
"""

from collections.abc import Iterable, Mapping

from contracts.bodies import Decision
from contracts.execution import ChainState
from contracts.machine.bundle import ProgramBundle, build_bundle, encode_bundle, program_hash
from contracts.machine.errors import ProgramRefused
from ledger.encoding import decode
from ledger.errors import LedgerError
from node.audit.dossier import decode_dossier
from node.audit.report import AuditFailure

NUMBER = 11


def find_program(
    trust: ChainState, contract_hash: str, carried: Mapping[str, ProgramBundle] | None = None
) -> ProgramBundle:
    """The program with this hash. Raises AuditFailure 11 `unknown_program`, ProgramRefused."""
    for program in trust.genesis.programs:
        if program.contract_hash == contract_hash:
            return build_bundle(decode(program.source.encode())["files"])
    if carried is not None and contract_hash in carried:
        return carried[contract_hash]
    raise AuditFailure(NUMBER, "unknown_program", f"neither genesis nor file has program {contract_hash}")


def carried_programs(data: bytes) -> dict[str, ProgramBundle]:
    """The programs in a dossier's bytes, by hash; none of a file that cannot be read: verifying it says why."""
    try:
        return _read_programs(decode_dossier(data).programs or ())
    except (LedgerError, AuditFailure):
        return {}


def check_programs(texts: Iterable[str], verdict: Decision | None, start: ChainState) -> None:
    """The file carries what the verdict ran and the genesis lacks, and nothing else. Raises AuditFailure 11."""
    known = {program.contract_hash for program in start.genesis.programs}
    used = {item.statement.contract_hash for item in verdict.statements} if verdict else set()
    carried = list(_read_programs(texts))
    if carried != sorted(used - known):
        raise AuditFailure(NUMBER, "programs", "the file carries other programs than those of its verdict")


def _read_programs(texts: Iterable[str]) -> dict[str, ProgramBundle]:
    found = {}
    for text in texts:
        try:
            bundle = build_bundle(decode(text.encode("utf-8"))["files"])
            same = encode_bundle(bundle) == text.encode("utf-8")
        except (LedgerError, ProgramRefused, LookupError, TypeError, AttributeError, ValueError):
            same = False
        if not same or program_hash(bundle) in found:
            raise AuditFailure(NUMBER, "programs", "a carried program is no canonical bundle, or there twice")
        found[program_hash(bundle)] = bundle
    return found

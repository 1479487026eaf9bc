"""The claim programs of a genesis as files, for whoever runs one again. The bytes were hashed by the ledger."""

from contracts.execution import ChainState
from contracts.machine.bundle import ProgramBundle, build_bundle
from ledger.encoding import decode
from node.audit.report import AuditFailure


def find_program(trust: ChainState, contract_hash: str) -> ProgramBundle:
    """The program with this hash. Raises AuditFailure 11 `unknown_program`, ProgramRefused."""
    for program in trust.genesis.programs:
        if program.contract_hash == contract_hash:
            return build_bundle(decode(program.source.encode())["files"])
    raise AuditFailure(11, "unknown_program", f"the trusted genesis has no program {contract_hash}")

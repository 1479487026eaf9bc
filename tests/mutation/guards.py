"""The guards that ordering stands on, each with its removals and the one test that must notice them.

Knows text and names only; running is `tests.mutation.__main__`. Must always hold: the old text of a removal occurs
exactly once in its file, what replaces it still compiles, and the named test is quick and does not need another guard
to be there. Whoever moves or rewrites a guard changes its row here (`tests/unit/test_mutation_table.py` says which).
"""

from dataclasses import dataclass
from pathlib import Path

MAX_GUARDS = 25
"""What a machine with two cores checks in a short break; the table names what matters most, not everything."""

RULES = "tests/unit/consensus/test_consensus_rules.py"
GUARDS_TESTS = "tests/unit/consensus/test_consensus_guards.py"
CERTIFICATES_TESTS = "tests/unit/ledger/test_certificates.py"


class TableError(Exception):
    """A row does not fit the source any more."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One way to take a guard away: `old` in the file at `path` (from the repository's root) becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Guard:
    """`rules` are the labels of consensus/README.md, or a word where the guard stands outside of it."""

    name: str
    rules: tuple[str, ...]
    test: str
    removals: tuple[Removal, ...]


def mutate(root: Path, guard: Guard, removal: Removal) -> str:
    """The source of the file without the guard. Raises TableError naming the guard."""
    path = root / removal.path
    if not path.is_file():
        raise TableError(f"{guard.name}: {removal.path} does not exist")
    source = path.read_text(encoding="utf-8")
    found = source.count(removal.old)
    if found != 1:
        raise TableError(f"{guard.name}: the text occurs {found} times in {removal.path}, not once: {removal.old!r}")
    mutated = source.replace(removal.old, removal.new)
    if mutated == source:
        raise TableError(f"{guard.name}: the removal changes nothing in {removal.path}: {removal.old!r}")
    try:
        compile(mutated, removal.path, "exec")
    except SyntaxError as error:
        raise TableError(f"{guard.name}: {removal.path} does not compile with the removal: {error}") from None
    return mutated


GUARDS = (
    Guard(
        "near-views-only",
        ("R1", "A11"),
        f"{GUARDS_TESTS}::test_r1_a11_only_views_near_the_current_one_take_memory",
        (
            Removal("consensus/receiving.py", " < vote.view <= state.view + 1:", " < vote.view:"),
            Removal("consensus/receiving.py", " < vote.view <= state.view + LOOKAHEAD:", " < vote.view:"),
        ),
    ),
    Guard(
        "first-proposal",
        ("R4",),
        f"{GUARDS_TESTS}::test_r4_only_the_first_proposal_and_only_in_a_view_without_own_votes",
        (
            Removal("consensus/proposing.py", "if view.slot is None and vote.view >=", "if vote.view >="),
            Removal("consensus/proposing.py", " or view.equivocated or view.rejected", " or view.rejected"),
            Removal("consensus/proposing.py", " or view.rejected or view.own:", " or view.rejected:"),
        ),
    ),
    Guard(
        "carried-proofs",
        ("R4", "A12"),
        f"{GUARDS_TESTS}::test_r4_the_chain_of_parents_is_proven_down_to_the_final_block",
        (
            Removal("consensus/proposing.py", "if is_carry_wrong(message):", "if False:"),
            Removal("consensus/proposing.py", "if slot.parent_view < state.final_view:", "if False:"),
            Removal("consensus/proposing.py", "if unproven_views(state, view.view, slot.parent_view):", "if False:"),
        ),
    ),
    Guard(
        "who-speaks",
        ("R4", "A8"),
        f"{GUARDS_TESTS}::test_r4_proposals_come_from_the_leader_and_votes_from_their_signer",
        (
            Removal("consensus/receiving.py", " or vote.signer != leader or state.index.get(sender) != leader:", ":"),
            Removal("consensus/receiving.py", "if state.index.get(sender) != vote.signer:", "if False:"),
        ),
    ),
    Guard(
        "one-statement",
        ("R4", "R5", "R6"),
        f"{RULES}::test_the_one_place_that_signs_refuses_to_contradict_itself",
        (
            Removal("consensus/state.py", " or kind in own or forbidden", " or forbidden"),
            Removal("consensus/state.py", " or forbidden.get(kind) in own:", ":"),
        ),
    ),
    Guard(
        "no-nullify-after-finalize",
        ("R5",),
        f"{RULES}::test_replayed_finalize_forbids_nullify",
        (Removal("consensus/proposing.py", ' or "finalize" in view.own', ""),),
    ),
    Guard(
        "no-finalize-after",
        ("R6",),
        f"{GUARDS_TESTS}::test_r6_finalize_needs_a_clean_view",
        (
            Removal("consensus/certifying.py", ' or "nullify" in view.own', ""),
            Removal("consensus/certifying.py", " or view.equivocated", ""),
        ),
    ),
    Guard(
        "bytes-before-vote",
        ("A1",),
        f"{GUARDS_TESTS}::test_a1_bytes_are_in_the_frame_of_the_vote_that_vouches_for_them",
        (
            Removal("consensus/proposing.py", "store_payload(out, view.view, slot)", "pass"),
            Removal("consensus/proposing.py", "store_payload(out, state.view, candidate)", "pass"),
            Removal("consensus/certifying.py", "store_payload(out, number, view.decided)", "pass"),
        ),
    ),
    Guard(
        "one-epoch",
        ("R12", "A2"),
        f"{GUARDS_TESTS}::test_r12_one_core_orders_one_epoch",
        (
            Removal("consensus/receiving.py", "if epoch is not None and epoch != state.config.epoch:", "if False:"),
            Removal("ledger/certificates.py", "if epoch != validators.epoch:", "if False:"),
            Removal("consensus/certifying.py", " and candidate.digest == tail_digest(boundary):", ":"),
        ),
    ),
    Guard(
        "block-time",
        ("A5",),
        "tests/unit/node/test_workshop.py::test_a_block_ahead_of_this_clock_is_held_unless_a_quorum_spoke",
        (
            Removal("node/ordering/workshop.py", "if ahead > 0 and not notarized:", "if False:"),
            Removal("node/ordering/workshop.py", "if ahead > 0 and not notarized:", "if ahead > 0:"),
        ),
    ),
    Guard(
        "disagreement",
        ("A7",),
        f"{RULES}::test_a7_a_notarized_block_that_is_invalid_here_stops_the_core",
        (
            Removal(
                "consensus/certifying.py", "if decided is not None and decided.verdict is Verdict.INVALID:", "if False:"
            ),
        ),
    ),
    Guard(
        "question-to-peers",
        ("A9",),
        f"{GUARDS_TESTS}::test_a9_nothing_is_signed_before_enough_peers_know_of_nothing_more",
        (
            Removal("consensus/startup.py", "len(state.answers) >= _answers_needed(state)", "True"),
            Removal("consensus/startup.py", "if not _is_known(state, proof):", "if False:"),
            Removal("consensus/state.py", "if not self.may_vote or kind in own", "if kind in own"),
        ),
    ),
    Guard(
        "guard-ahead-of-journal",
        ("A9",),
        "tests/unit/node/test_durable_before_sent.py::test_a_key_with_a_past_signs_nothing_without_it",
        (
            Removal("consensus/startup.py", "if start.guard is not None and start.guard > known:", "if False:"),
            Removal("node/ordering/journalfile.py", "if guard not in (None, NEVER):", "if False:"),
            Removal(
                "node/ordering/journalfile.py", "if guard is None:\n            raise ", "if False:\n            raise "
            ),
            Removal("node/ordering/journalfile.py", "if refusal is not None:", "if False:"),
        ),
    ),
    Guard(
        "only-finalize-proves",
        ("A10",),
        f"{CERTIFICATES_TESTS}::test_only_a_finalization_proves_a_header",
        (Removal("ledger/certificates.py", 'if certificate.kind != "finalize":', "if False:"),),
    ),
    Guard(
        "durable-before-sent",
        ("durability",),
        "tests/unit/node/test_durable_before_sent.py::test_a_vote_is_durable_before_it_is_said",
        (
            Removal("consensus/outbox.py", "found.append(Persist(", "self.requests.append(Persist("),
            Removal("node/ordering/journalfile.py", "os.fdatasync(fd)", "pass"),
        ),
    ),
    Guard(
        "signed-domain",
        ("domain",),
        f"{CERTIFICATES_TESTS}::test_another_chain_or_epoch_is_another_statement",
        (
            Removal("ledger/certificates.py", 'tagged_hash(f"vote-{subject.kind}"', 'tagged_hash("vote"'),
            Removal("ledger/certificates.py", '"epoch": subject.epoch, "view"', '"view"'),
            Removal("ledger/certificates.py", '{"chain": chain.hex(), ', "{"),
        ),
    ),
    Guard(
        "quorum-formula",
        ("quorum",),
        f"{CERTIFICATES_TESTS}::test_two_quorums_share_an_honest_member",
        (Removal("ledger/certificates.py", "return n - (n - 1) // 3", "return 2 * ((n - 1) // 3) + 1"),),
    ),
    Guard(
        "certificate-counting",
        ("quorum", "bitmap"),
        f"{CERTIFICATES_TESTS}::test_counting_refuses_before_any_signature",
        (
            Removal("ledger/certificates.py", "if len(signers) < validators.quorum:", "if False:"),
            Removal("ledger/certificates.py", "if signers and signers[-1] >= len(validators):", "if False:"),
            Removal(
                "ledger/certificates.py",
                "if len(certificate.signers) != 2 * bitmap_bytes(len(validators)):",
                "if False:",
            ),
        ),
    ),
    Guard(
        "conflicting-certificates",
        ("R11",),
        f"{RULES}::test_r11_certificates_that_exclude_each_other_stop_the_core",
        (
            Removal("consensus/certifying.py", "if conflict is not None:", "if False:"),
            Removal("consensus/proposing.py", "if conflict is None and (held or", "if (held or"),
        ),
    ),
    Guard(
        "evidence-verifies",
        ("R11",),
        f"{GUARDS_TESTS}::test_b13_evidence_needs_two_signatures_that_verify",
        (
            Removal(
                "consensus/evidence.py",
                "verify_vote(first, state.config.validators, state.config.chain, state.config.scheme)",
                "pass",
            ),
            Removal("consensus/receiving.py", 'if vote.kind != "finalize" or contradiction', "if contradiction"),
            Removal("consensus/receiving.py", ' != "finalize" or contradiction is not None:', ' != "finalize":'),
        ),
    ),
    Guard(
        "full-bytes-memory",
        ("bytes",),
        "tests/unit/node/test_mempool.py::test_a_bad_variant_of_an_id_is_refused_and_does_not_poison_the_good_one",
        (
            Removal(
                "node/signatures.py",
                "return self._verified.get(hashlib.sha256(data).digest())",
                "named = decode_transaction(data).tx_id\n"
                "        return next((one for one in self._verified.values() if one.tx_id == named), None)",
            ),
        ),
    ),
    Guard(
        "full-bytes-root",
        ("bytes",),
        "tests/unit/ledger/test_blocks.py::test_other_transactions_than_the_headers",
        (
            Removal(
                "ledger/blocks.py", "if transactions_root(block.transactions).hex() != header.tx_root:", "if False:"
            ),
        ),
    ),
    Guard(
        "possession",
        ("keys",),
        "tests/unit/contracts/test_possession_guard.py::test_a_finality_key_enters_by_genesis_or_vote_with_its_proof_only",
        (
            Removal(
                "contracts/membership.py",
                "bls.verify_possession(bytes.fromhex(public_key), bytes.fromhex(possession))",
                "pass",
            ),
            Removal("contracts/governance.py", "            _check_possession(change)\n", "            pass\n"),
        ),
    ),
    Guard(
        "once-in-an-ancestry",
        ("replay",),
        "tests/unit/contracts/test_execution.py::test_a_transaction_is_in_an_ancestry_once",
        (
            Removal("contracts/execution.py", "if signed.tx_id in taken or parent", "if parent"),
            Removal("contracts/execution.py", " in taken or parent.is_recent(signed.tx_id):", " in taken:"),
        ),
    ),
    Guard(
        "damaged-journal",
        ("durability",),
        f"{GUARDS_TESTS}::test_a_journal_with_a_hole_is_refused",
        (
            Removal("consensus/journal.py", "            _check_torn(data, offset, salt)\n", ""),
            Removal(
                "consensus/journal.py", 'if data[offset + 4 : offset + 12] != sequence.to_bytes(8, "big"):', "if False:"
            ),
        ),
    ),
)

"""Why this node does not vote, in words that its operator can act on.

Knows codes and sentences; decides nothing. Must always hold: every code with which a node stops voting is in the table,
with what to do about it, and the sentence names files of the node's folder, never their content.
"""

FOLLOW_AFTER = frozenset({"store_behind_journal", "journal_behind_guard", "unknown_vote", "foreign_journal"})
"""Halts about this node's own past: it must not vote, but may follow the chain as an observer."""
_NEW_KEY = (
    "this key never votes again. Make new keys (claimnode keys new) as keys/signing.next.json and "
    "keys/finality.next.json, have the members vote a seat for them (governance.propose: key.rotate, validator.seat): "
    "the node votes with them from the next epoch on, without a restart"
)
_COMPARE = "keep data/halt-*.json, compare with the other members which node computes wrongly, then restart that one"
_LIARS = "more validators lie than the network bears: call the other members, keep data/halt-*.json"
ADVICE = {
    "journal_missing": f"the journal of data/ is gone although this key has signed; {_NEW_KEY}",
    "journal_no_guard": f"data/ was brought here without the guard in keys/; if the old host is gone: {_NEW_KEY}",
    "journal_guard": f"the guard in keys/ cannot be read; check the disk; {_NEW_KEY}",
    "journal_header": f"the journal in data/ is damaged; check the disk; {_NEW_KEY}",
    "journal_frame": f"the journal in data/ is damaged before its end; check the disk; {_NEW_KEY}",
    "journal_record": f"the journal in data/ was written by another version or is damaged; {_NEW_KEY}",
    "journal_behind_guard": f"the journal in data/ is older than the guard in keys/ (a restored copy?); {_NEW_KEY}",
    "journal_restored": f"the folder was restored from a backup, which holds no journal and no guard; {_NEW_KEY}",
    "unknown_vote": "peers hold votes of this key that its journal does not know: a restored copy, or the same key on "
    f"a second host, which must be switched off; {_NEW_KEY}",
    "store_behind_journal": "data/ledger.db was removed or restored: the node fetches the blocks; restart it when its "
    "height is that of the others, then it votes again",
    "foreign_journal": "the journal in data/ is ahead of the ledger, or another validator's: restart when the height "
    "is that of the others; if it stays, restore the node's own files",
    "floor": "the last block in data/ledger.db is not proven final: remove data/ledger.db* and restart",
    "disagreement": f"a quorum certified a block that computes otherwise here; {_COMPARE}",
    "conflicting_certificates": _LIARS,
    "finality_conflict": _LIARS,
    "keys_not_in_set": "the seat is held with other keys than those in keys/: put the right files there, or as "
    "keys/*.next.json, and restart",
    "no_space": "the disk of data/ is full: make room, the node goes on by itself",
    "read_only": "the file system of data/ or keys/ is read-only: look at the disk, mount it writable again, the node "
    "goes on by itself",
    "no_descriptors": "no file can be opened: raise the limit of open files (ulimit -n) and restart",
    "no_connection": "the database named by [store] does not answer: look at its server; the node goes on by itself",
    "store_damaged": "data/ledger.db does not read back: check the disk, stop the node, remove data/ledger.db* (of a "
    "database server: drop the tables) and start it: it fetches everything from its peers",
    "asking_peers": "waits for answers of the other validators about its own earlier votes: link it to them",
    "joining": "began with a snapshot and waits for the first block above it: link it to the others; if the whole "
    "network began with snapshots, start one node from a store of its own",
    "observer": "this participant has no seat: it follows",
}
"""code -> what to do. Codes that begin with `journal_`, and `unknown_vote`, bind the key for ever."""


def advice_for(code: str) -> str:
    """What an operator does about it."""
    return ADVICE.get(code, "look at the log and at data/halt-*.json")


def is_about_key(code: str) -> bool:
    """Whether the code says that the key may have signed what is not known here: then only another key may vote."""
    return code == "unknown_vote" or code.startswith("journal_")


def may_follow(code: str) -> bool:
    """Whether the node goes on as an observer after this halt."""
    return code in FOLLOW_AFTER or is_about_key(code)

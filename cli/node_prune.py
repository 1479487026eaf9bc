"""`claimnode node prune`: the bodies of a stopped node's old blocks go, after it was shown what goes with them.

Knows options and words; what may go is node.pruning's. Always true: nothing is pruned without --yes, or a person's yes
to the list; importing this file imports no server and no database.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.errors import CliError
from cli.output import is_terminal, json_option, print_json, print_text

if TYPE_CHECKING:
    from ledger.pruning import Slice
    from node.pruning.losses import Losses

_HELD = {
    "replay_window": "blocks of the last 48 hours of block time stay whole: a snapshot brings them along",
    "retained_heights": "the last 10,000 heights stay whole: state can be proved at each of them",
    "last_block": "the last block stays whole",
}


@click.command(name="prune")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--below", type=click.IntRange(min=2), required=True, help="Bodies of blocks below this height go.")
@click.option("--dry-run", is_flag=True, help="Only list what could no longer be answered.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--compact", is_flag=True, help="Give the space back now; needs room for a copy of what stays.")
@json_option
def prune(folder: Path, below: int, *, dry_run: bool, yes: bool, compact: bool, as_json: bool) -> None:
    """Let go of old block bodies of the stopped node in FOLDER, for good; only other nodes have them then.

    What can no longer be answered is listed first. Headers, certificates, hashes of the log, transaction ids and the
    entries behind current state stay, so proofs of what was pruned still verify; so do blocks that open claims need.
    A running node prunes by itself: [store] retain_blocks in its node.toml.

    Example: claimnode node prune net/hospital --below 100000 --dry-run
    """
    from cli.node_command import check_folder
    from node.pruning.offline import stopped_node

    check_folder(folder)
    with stopped_node(folder) as stopped:
        plan = stopped.plan(below)
        if not as_json:
            _show(plan.losses, below)
        if dry_run or not plan.losses.blocks:
            done = None
        else:
            if not yes and (as_json or not is_terminal() or not click.confirm("Prune these blocks?", err=True)):
                raise CliError("not_confirmed", "nothing was pruned; give --yes after reading the list (--dry-run)")
            done = stopped.prune(plan)
            if compact:
                stopped.compact()
    if as_json:
        print_json(_view(plan.losses, done))
    elif done is not None:
        print_text(f"{done.blocks} bodies, {done.size} bytes pruned up to height {plan.losses.last}")
        if not compact:
            print_text("later blocks fill the space; --compact gives it back to the file system")


def _show(losses: "Losses", below: int) -> None:
    if not losses.blocks:
        print_text(f"nothing to prune below height {below}")
    else:
        print_text("what this node can no longer answer then:")
        for line in losses.sentences:
            print_text(f"  {line}")
        for claim_id in losses.claims:
            print_text(f"    claim {claim_id}")
        print_text(f"dossiers of {losses.open_claims} open claims of this participant stay")
    if losses.held_by in _HELD:
        print_text(_HELD[losses.held_by])


def _view(losses: "Losses", done: "Slice | None") -> dict[str, Any]:
    pruned = None if done is None else {"blocks": done.blocks, "bytes": done.size}
    return {"lost": msgspec.to_builtins(losses), "sentences": losses.sentences, "pruned": pruned}

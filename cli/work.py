"""`claimnode work`: reviews and complaints that wait for people.

Knows the options and how tasks are printed. Must not know who may do what: the node's desk says so. Always true: who
acts is the holder of the access token.
"""

from typing import Any, Final

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.node_options import node_options
from cli.output import json_option, print_json, print_table, print_text

GRADES: Final = ("low", "middle", "high")


@click.group(name="work")
def work() -> None:
    """Reviews and complaints that wait for people: list, take, return, complaints, answer.

    Example: claimnode work list --node net/insurer
    """


@work.command(name="list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of reasons.")
@node_options
@json_option
def list_tasks(client: NodeClient, limit: int, lang: str, as_json: bool) -> None:
    """List claims in review: low risk first, then the oldest; then the reasons that people may give.

    Example: claimnode work list --node net/insurer --lang zh
    """
    found = client.get("/v1/tasks", limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(("claim", "risk", "since", "holder", "prepared by", "reason"), [_row(item) for item in found["items"]])
    for item in found["reasons"]:
        print_text(f"{item['of']}: {item['code']}: {item[lang]}")


@work.command(name="take")
@click.argument("claim_id", required=False)
@click.option("--override", help="Why it is taken from its holder: a reason of `work list`.")
@node_options
@json_option
def take(client: NodeClient, claim_id: str | None, override: str | None, as_json: bool) -> None:
    """Hold a claim in review, or the next one that is free, for four hours.

    \b
    Example: claimnode work take --node net/insurer --token-file ann.token
             claimnode work take 5f0c... --node net/insurer --token-file ben.token --override HOLDER_ABSENT
    """
    _show(client.post("/v1/tasks/take", {"claim_id": claim_id, "override": override}), as_json)


@work.command(name="return")
@click.argument("claim_id")
@node_options
@json_option
def give_back(client: NodeClient, claim_id: str, as_json: bool) -> None:
    """Give a claim back to whoever takes it next.

    Example: claimnode work return 5f0c... --node net/insurer --token-file ann.token
    """
    _show(client.post(f"/v1/tasks/{claim_id}/return", {}), as_json)


def _show(task: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(task)
    elif task["holder"] is None:
        print_text(f"{task['claim_id']}: free")
    else:
        print_text(f"{task['claim_id']}: held by {task['holder']} until {format_time(task['lease_until_ms'])}")


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return (
        item["claim_id"],
        GRADES[item["grade"]],
        format_time(item["since_ms"]),
        item["holder"] or "-",
        item["prepared_by"] or "-",
        item["reason"] or "-",
    )


@work.command(name="complaints")
@click.option("--all", "every", is_flag=True, help="Also what was answered, and words that are no complaint.")
@node_options
@json_option
def complaints(client: NodeClient, every: bool, as_json: bool) -> None:
    """List what insured persons said of claims; by default claims with a complaint that is not answered.

    Example: claimnode work complaints --node net/insurer
    """
    items = list(client.pages("/v1/feedback", open="" if every else "true"))
    if as_json:
        print_json({"claims": items})
        return
    columns = ("claim", "word", "kind", "score", "reasons", "due", "answer")
    print_table(columns, [_word(word) for item in items for word in item["words"]])


@work.command(name="answer")
@click.argument("claim_id")
@click.argument("feedback_id")
@click.option("--with", "answer", required=True, help="EXPLAINED, CORRECTED, REOPENED, TO_DISPUTE or UNFOUNDED.")
@node_options
@json_option
def answer_word(client: NodeClient, claim_id: str, feedback_id: str, answer: str, as_json: bool) -> None:
    """Note how a complaint was answered; the one who answers is the holder of the access token.

    Example: claimnode work answer 5f0c... 77ab... --with EXPLAINED --node net/insurer --token-file ann.token
    """
    word = client.post(f"/v1/feedback/{claim_id}/answer", {"feedback_id": feedback_id, "answer": answer})
    if as_json:
        print_json(word)
    else:
        print_text(f"{claim_id}: answered {word['answer']} by {word['person']}")


def _word(word: dict[str, Any]) -> tuple[str, ...]:
    late = " (late)" if word["is_late"] else ""
    return (
        word["claim_id"],
        word["feedback_id"],
        word["kind"],
        str(word["score"]),
        ", ".join(word["reasons"]) or "-",
        format_time(word["due_ms"]) + late if word["due_ms"] is not None else "-",
        word["answer"] or "-",
    )

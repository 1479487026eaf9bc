"""`claimnode demo`: the whole journey on this machine, judged against what was expected.

Knows the order of things: network, episodes, one validator killed half-way, an independent auditor, a table. Must not
know how any of them works. Always true: exit code 0 only if every episode came out as stated beforehand, every
dossier was verified by the auditor, and all validators agree.
"""

import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.errors import AnswerIsNo, CliError
from cli.output import format_money, is_terminal, json_option, print_json, print_note, print_table, print_text

if TYPE_CHECKING:
    from cli.demo_episode import EpisodeResult, EpisodeRunner
    from cli.demo_network import DemoNetwork, ValidatorReport
    from cli.episodes import Episode, EpisodeSource
    from cli.scenarios.stage import Scenario, ScenarioResult

DEFAULT_EPISODES: Final = 12
MAX_EPISODES: Final = 2_000
AT_ONCE: Final = 8
"""Episodes under way at the same time; each waits most of the time."""
BASE_TIME: Final = "2025-01-06T08:00:00+08:00"
"""After every date in the seeded episodes' documents: nothing may be invoiced in the future."""
MARGIN_DAYS: Final = 7


@click.command(name="demo")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="A folder of FHIR R4 NDJSON.")
@click.option(
    "--episodes", "count", type=click.IntRange(1, MAX_EPISODES), help="How many (default 12, or all of --data)."
)
@click.option("--keep", type=click.Path(path_type=Path), help="New folder to keep keys, ledgers and dossiers in.")
@click.option("--scenario", "names", multiple=True, help="A scenario by name, or all; with --episodes beside them.")
@json_option
def demo(data: Path | None, count: int | None, keep: Path | None, names: tuple[str, ...], as_json: bool) -> None:
    """Run a network of hospital, insurers, commission and TPA on this machine, from consent to settled payout.

    Four validators, each a process of its own with SQLite, and a second insurer that follows. Half-way one
    validator is killed and brought back. In the end an auditor's own process verifies each claim's dossier
    against the genesis alone. Exit code 1 if anything differs from what was expected.

    \b
    Example: claimnode demo
             claimnode demo --episodes 20 --keep demo-run --json
             claimnode demo --scenario all
    """
    from cli.processes import end_on_sigterm

    source, scenarios = _source(data), _choose(names)
    wanted = count or (None if data else 0 if scenarios else DEFAULT_EPISODES)
    episodes = list(islice(source.episodes(), wanted))
    if not episodes and not scenarios:
        raise CliError("no_episodes", f"{data} holds no stay that could become an episode")
    end_on_sigterm()
    with _work_folder(keep) as folder:
        results, told, validators = _run(episodes, scenarios, folder)
    answer = build_answer(episodes, results, validators, told)
    if as_json:
        print_json(answer)
    else:
        _print_people(answer, results, source)
    if not answer["ok"]:
        raise AnswerIsNo(
            "demo",
            "not everything came out as expected: " + "; ".join(find_faults(episodes, results, validators, told)),
        )


def build_answer(
    episodes: "Sequence[Episode]",
    results: "Sequence[EpisodeResult]",
    validators: "Sequence[ValidatorReport]",
    told: "Sequence[ScenarioResult]" = (),
) -> dict[str, Any]:
    """The JSON document of the interface; `scenarios` only where some were asked for."""
    from cli.demo_scenarios import show_scenario
    from cli.episodes import STATUSES

    return {
        "episodes": [
            {
                "id": result.id,
                "label": result.label,
                "reported_at": _time(result.reported_ms),
                "discharged_at": _time(result.discharged_ms),
                "status": result.status,
                "decision": result.decision,
                "amount_fen": result.amount_fen,
                "currency": result.currency,
                "refusal_code": result.refusal_code,
                "dossier_verified": result.dossier_verified,
                "human_steps": result.human_steps,
                "authorise_ms": result.authorise_ms,
            }
            for result in results
        ],
        "validators": [
            {
                "name": item.name,
                "killed": item.killed,
                "recovered": item.recovered,
                "height": item.height,
                "state_root": item.state_root,
            }
            for item in validators
        ],
        "counts": {status: sum(result.status == status for result in results) for status in STATUSES},
        **({"scenarios": [show_scenario(item) for item in told]} if told else {}),
        "ok": not find_faults(episodes, results, validators, told),
    }


def find_faults(
    episodes: "Sequence[Episode]",
    results: "Sequence[EpisodeResult]",
    validators: "Sequence[ValidatorReport]",
    told: "Sequence[ScenarioResult]" = (),
) -> list[str]:
    """What differs from what was expected, one line each."""
    from cli.scenarios.stage import find_scenario_faults

    faults = find_scenario_faults(told)
    for episode, result in zip(episodes, results, strict=True):
        expected = episode.expected
        names = ("status", "decision", "amount_fen", "refusal_code")
        wanted = {name: getattr(expected, name) for name in names} if expected else {}
        if wanted.get("status") == "in_review":
            wanted = {"status": "in_review"}
        faults += [
            f"{result.id}: {name} is {getattr(result, name)}, expected {value}"
            for name, value in wanted.items()
            if getattr(result, name) != value
        ]
        if result.claim_ids and not result.dossier_verified:
            faults.append(f"{result.id}: its dossier was not verified")
    if len({(item.height, item.state_root) for item in validators}) != 1:
        faults.append("the validators do not agree on one state")
    faults += [f"{item.name} did not recover" for item in validators if item.killed and not item.recovered]
    if not any(item.killed for item in validators):
        faults.append("no validator was killed")
    return faults


def base_time_ms(episodes: "Sequence[Episode]") -> int:
    """Simulated time at the start: the demo's own, or later where a document is dated later."""
    from cli.network_setup import parse_time

    latest = max((invoice["issue_date"] for episode in episodes for invoice in episode.invoices), default="")
    base = datetime.fromisoformat(BASE_TIME)
    if latest:
        base = max(base, datetime.fromisoformat(latest[:10]).replace(tzinfo=UTC) + timedelta(days=MARGIN_DAYS))
    return parse_time(base.isoformat())


def _time(milliseconds: int | None) -> str | None:
    from cli.consent_text import format_time

    return None if milliseconds is None else format_time(milliseconds)


def _source(data: Path | None) -> "EpisodeSource":
    if data is None:
        from cli.episodes_seeded import SeededEpisodes

        return SeededEpisodes()
    from cli.episodes_fhir import FhirEpisodes

    return FhirEpisodes(data)


def _choose(names: tuple[str, ...]) -> "list[Scenario]":
    """The scenarios that were asked for. Raises CliError `scenario`."""
    from cli.scenarios import ALL, NAMES, choose

    unknown = [name for name in names if name not in (ALL, *NAMES)]
    if unknown:
        raise CliError("scenario", f"there is no scenario {unknown[0]}; there are {ALL}, {', '.join(NAMES)}")
    return choose(names)


def _run(
    episodes: "Sequence[Episode]", scenarios: "Sequence[Scenario]", folder: Path
) -> "tuple[list[EpisodeResult], list[ScenarioResult], list[ValidatorReport]]":
    from cli.demo_episode import EpisodeRunner
    from cli.demo_network import demo_network
    from cli.demo_scenarios import audit_scenarios
    from cli.scenarios.stage import run_scenario

    print_note("starting five nodes ...")
    years = {int(invoice["issue_date"][:4]) for episode in episodes for invoice in episode.invoices}
    with demo_network(folder / "net", base_time_ms(episodes), years) as network:
        runner = EpisodeRunner(network.genesis.network, network.clients, network.envelope_keys)
        plays: list[Callable[[], Any]] = [*_episode_plays(episodes, runner)]
        plays += [partial(run_scenario, item, runner) for item in scenarios]
        ended = _run_plays(plays, runner, network)
        results, told = ended[: len(episodes)], ended[len(episodes) :]
        results = _audit(results, network, folder)
        told = audit_scenarios(told, network, folder / "dossiers", folder / "net" / "genesis.json")
        return results, told, network.validators()


def _episode_plays(episodes: "Sequence[Episode]", runner: "EpisodeRunner") -> "list[Callable[[], EpisodeResult]]":
    """Each waits for the episode that it comes after."""
    ended = {episode.id: threading.Event() for episode in episodes}

    def run(episode: "Episode") -> "EpisodeResult":
        try:
            if episode.after in ended:
                ended[str(episode.after)].wait()
            return runner.run(episode)
        finally:
            ended[episode.id].set()

    return [partial(run, episode) for episode in episodes]


def _run_plays(plays: Sequence[Callable[[], Any]], runner: "EpisodeRunner", network: "DemoNetwork") -> list[Any]:
    """Episodes and scenarios, a few at a time; one validator is killed when half of them are through."""
    with ThreadPoolExecutor(AT_ONCE) as pool, _progress(len(plays)) as advance:
        futures = [pool.submit(play) for play in plays]
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                future.result()
                advance()
                if number == (len(plays) + 1) // 2:
                    print_note("killing one validator, and bringing it back ...")
                    network.kill_and_recover()
        except BaseException:
            runner.stop()
            _cancel(futures)
            raise
        return [future.result() for future in futures]


def _audit(results: "list[EpisodeResult]", network: "DemoNetwork", folder: Path) -> "list[EpisodeResult]":
    """Write every claim's dossier from its insurer's node, and let the auditor's processes judge them."""
    from msgspec.structs import replace

    from cli.demo_audit import verify_dossiers

    print_note("an auditor verifies every dossier ...")
    dossiers = folder / "dossiers"
    dossiers.mkdir()
    files = {}
    for result in results:
        for insurer, claim_id in result.claim_ids.items():
            path = dossiers / f"{result.id}-{insurer}.dossier"
            path.write_bytes(network.clients[insurer].get_bytes(f"/v1/claims/{claim_id}/dossier"))
            files[claim_id] = path
    verdicts = verify_dossiers(files, folder / "net" / "genesis.json")
    return [
        replace(result, dossier_verified=all(verdicts[claim] for claim in result.claim_ids.values()))
        if result.claim_ids
        else result
        for result in results
    ]


def _cancel(futures: "Sequence[Future[Any]]") -> None:
    for future in futures:
        future.cancel()


@contextmanager
def _work_folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="claimnode-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise CliError("exists", f"{keep} is not empty; name a new folder with --keep")
    keep.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield keep


@contextmanager
def _progress(length: int) -> Iterator[Any]:
    """A bar on a terminal, nothing in a pipe."""
    if not is_terminal():
        yield lambda: None
        return
    with click.progressbar(length=length, label="episodes", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _print_people(answer: dict[str, Any], results: "Sequence[EpisodeResult]", source: "EpisodeSource") -> None:
    if "scenarios" in answer:
        from cli.demo_scenarios import print_scenarios

        print_scenarios(answer["scenarios"])
    _print_episodes(answer, results)
    for item in answer["validators"]:
        fate = "killed and recovered, " if item["recovered"] else "killed, NOT recovered, " if item["killed"] else ""
        print_text(f"validator {item['name']}: {fate}height {item['height']}, state {item['state_root'][:16]}")
    skipped = source.skipped()
    if skipped:
        print_text(
            f"{len(skipped)} lines of the source were no resource, the first: {skipped[0].id} {skipped[0].reason}"
        )


def _print_episodes(answer: dict[str, Any], results: "Sequence[EpisodeResult]") -> None:
    if not results:
        return
    columns = ("id", "episode", "reported", "discharged", "outcome", "amount", "authorised in", "dossier")
    print_table(columns, [_row(shown) for shown in answer["episodes"]])
    counts = ", ".join(f"{count} {status}" for status, count in answer["counts"].items() if count)
    print_text(f"\n{len(results)} episodes: {counts}")


def _row(shown: dict[str, Any]) -> tuple[str, ...]:
    amount = shown["amount_fen"]
    verdict = {True: "verified", False: "FAILED", None: "-"}[shown["dossier_verified"]]
    took = shown["authorise_ms"]
    return (
        shown["id"],
        shown["label"],
        shown["reported_at"] or "-",
        shown["discharged_at"] or "-",
        shown["refusal_code"] or shown["decision"] or shown["status"],
        "-" if amount is None else format_money(amount, shown["currency"]),
        "-" if took is None else f"{took / 1000:.1f} s",
        verdict,
    )

"""What a scenario acts with: stays of patients on a running network, a list of steps, and figures to be compared.

Knows episodes and nodes' interfaces. Must not know a figure. Always true: a wait ends, and what a scenario reports is
read from an interface or opened from the customer's own mail, never computed here.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct

from cli.demo_episode import EpisodeResult, EpisodeRunner, Refused, Stay
from cli.episodes import Episode
from cli.errors import CliError, NetworkFailure

SCENE_S: Final = 150.0
"""One wait of a scenario: a second on an idle machine, more while a validator is down or others run."""
Found = TypeVar("Found")


class Scenario(Struct, frozen=True):
    """`expected`: figures by name, money in minor units, worked out by hand; `play` fills the stage's."""

    name: str
    title: str
    expected: Mapping[str, int]
    play: Callable[["Stage"], None]


class ScenarioResult(Struct, frozen=True):
    """What came of a scenario. `fault` is a code when it did not come to its end."""

    name: str
    title: str
    figures: dict[str, int]
    expected: dict[str, int]
    steps: list[str]
    claim_ids: dict[str, str]
    """Insurer of each claim, by the claim's id."""
    fault: str | None = None
    dossiers_verified: bool | None = None

    @property
    def ok(self) -> bool:
        """Every figure is as expected, and an auditor verified every claim."""
        return self.fault is None and self.figures == self.expected and self.dossiers_verified is True


class Stage:
    """One scenario under way."""

    def __init__(self, runner: EpisodeRunner) -> None:
        self.runner = runner
        self.steps: list[str] = []
        self.figures: dict[str, int] = {}
        self._stays: list[Stay] = []

    def note(self, step: str, **figures: int) -> None:
        """A step that was made, and the figures that it gave."""
        self.steps.append(step + "".join(f"; {name} {value}" for name, value in figures.items()))
        self.figures |= figures

    def admit(self, episode: Episode, policy_ids: Sequence[str] | None = None) -> Stay:
        """Policies (unless they were committed to before), consent, account of the payee, admission."""
        ids = policy_ids or [self.runner.commit(policy, episode.currency) for policy in episode.policies]
        stay = self.runner.begin(episode, ids)
        self._stays.append(stay)
        stay.grant()
        stay.admit()
        return stay

    def conclude(self, stay: Stay, episode: Episode) -> EpisodeResult:
        """Discharge, and everything that follows by itself, until the claims are closed. Raises Refused."""
        stay.discharge()
        return stay.conclude(EpisodeResult(episode.id, episode.label, "refused", episode.currency))

    def wait(self, what: str, look: Callable[[], Found | None]) -> Found:
        """What `look` finds once it finds something. Raises NetworkFailure `timeout`."""
        deadline = time.monotonic() + SCENE_S
        while not (found := look()):
            if time.monotonic() > deadline:
                raise NetworkFailure("timeout", f"{what}: not within {SCENE_S:.0f} s")
            self.runner.pause()
        return found

    def detail(self, stay: Stay, insurer: str) -> dict[str, Any]:
        """The insurer's own view of its claim of this stay."""
        return dict(self.runner.client(insurer).get(f"/v1/claims/{stay.claims[insurer]}/decision"))

    def claim_ids(self) -> dict[str, str]:
        """Insurer by claim, of every stay."""
        return {claim_id: insurer for stay in self._stays for insurer, claim_id in stay.claims.items()}


def run_scenario(scenario: Scenario, runner: EpisodeRunner) -> ScenarioResult:
    """Play it; what the network refused or did not do in time is a fault of the result."""
    stage, fault = Stage(runner), None
    try:
        scenario.play(stage)
    except (Refused, CliError) as error:
        fault = str(error)
    expected = dict(scenario.expected)
    return ScenarioResult(scenario.name, scenario.title, stage.figures, expected, stage.steps, stage.claim_ids(), fault)


def find_scenario_faults(results: Sequence[ScenarioResult]) -> list[str]:
    """What differs from what was expected, one line each."""
    faults = []
    for result in results:
        if result.fault is not None:
            faults.append(f"{result.name}: {result.fault}")
        faults += [
            f"{result.name}: {name} is {result.figures.get(name)}, expected {value}"
            for name, value in result.expected.items()
            if result.figures.get(name) != value
        ]
        faults += [f"{result.name}: nobody expected {name}" for name in result.figures if name not in result.expected]
        if not result.dossiers_verified:
            faults.append(f"{result.name}: its dossiers were not verified")
    return faults

"""Storms (P2, P10, O3, N1, N2, N13): four real processes under load, killed, stopped, restarted and cut off by seed.

After each story no two blocks at a height, equal roots, every acknowledged transaction final everywhere, and not one
view for which the journals of a validator hold two different votes. Longer: `.ci/nightly --storms N`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.storms import (
    Storm,
    kernel_shape,
    kill_some,
    kill_while_starting,
    pause,
    reconnect_storm,
    restart_all,
    roll,
    rough_weather,
    run_in_namespace,
    storm,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Record = Callable[[str, object], None]
PROXY = "faults by TCP proxy"


def told(place: Storm, record: Record, text: str) -> None:
    record("measured", f"{PROXY}; {text}; {place.check()}")


def test_p2_kill_9_of_one_two_and_all_under_load(tmp_path: Path, record_property: Record) -> None:
    """P2: one (f), two (f + 1: no quorum until they are back), all; then all again, one of them while it starts."""
    with storm(tmp_path, 20) as place:
        took = [kill_some(place, count) for count in (1, 2, 4)]
        took.append(kill_while_starting(place))
        told(place, record_property, f"back after {', '.join(f'{each:.1f}' for each in took)} s")


def test_p10_o3_stopped_for_ten_seconds_then_restarts(tmp_path: Path, record_property: Record) -> None:
    """P10: SIGSTOP for 10 s under load. O3: a rolling restart and a restart of all at once, pauses measured."""
    with storm(tmp_path, 10) as place:
        stood = pause(place, 10.0)
        rolled, restarted = roll(place), restart_all(place)
        assert rolled < 20, "a restart of one is not a pause of the network"
        text = f"after a pause all final in {stood:.1f} s; longest gap for clients: rolling {rolled:.1f} s, all at once"
        told(place, record_property, f"{text} {restarted:.1f} s")


def test_n13_bad_lines_cuts_half_open_paths_and_reconnect_storms(tmp_path: Path, record_property: Record) -> None:
    """N1, N2, N13: delay, loss and resets on every path, a cut node, a half-open one; then connections reset again and
    again."""
    with storm(tmp_path, 13) as place:
        rough, again = rough_weather(place), reconnect_storm(place)
        told(place, record_property, f"final everywhere {rough:.1f} s after bad weather, {again:.1f} s after resets")


def test_n1_faults_of_the_kernel_itself(record_property: Record) -> None:
    """N1, N2: in a network namespace whose loopback drops and delays: netem, or a shaper with a short queue."""
    shape, why_not_netem = kernel_shape()
    if not shape:
        pytest.skip(f"no network namespace with faults here ({why_not_netem}); the tests by TCP proxy ran")
    done = run_in_namespace(shape, 1, 1)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    record_property(
        "measured", f"kernel's {shape}{f' ({why_not_netem})' if why_not_netem else ''}: {done.stdout.strip()}"
    )

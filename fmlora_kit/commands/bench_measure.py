"""Seconds, multiplications and bytes of a step.

Seconds of sides that take turns are compared within a turn: whatever else the machine does slows
all of them, and a ratio to a limit that was timed just before and just after stands what a time
does not. Multiplications are counted, not timed, and the same on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)
from tqdm import tqdm

BETWEEN_LIMITS = 4  # sides timed between two timings of the limit


def flops(act: Callable[[], object]) -> int:
    """Floating-point operations of all matrix products and convolutions of ``act()``."""
    aten = torch.ops.aten
    missing = {  # in its own table, or in that of torch 2.6
        aten.addmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1],
        aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(
            q, k, v
        ),
        aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda g, q, k, v, *_, **__: (
            sdpa_backward_flop_count(g, q, k, v)
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=missing) as count:
        act()
    return count.get_total_flops()


def peak_bytes(act: Callable[[], object], device: torch.device) -> int:
    """The most that ``act()`` has allocated at one time, above what was there before.

    On CUDA by PyTorch's allocator, elsewhere from the profiler's list of all allocations.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        act()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    only_cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=only_cpu, profile_memory=True) as profile:
        act()
    events = profile.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    return int(np.cumsum([0, *(n for _, n in sorted(changes))]).max())


def operators(act: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Seconds that each of PyTorch's operators takes by itself in ``act()``, the longest first.

    On CUDA of the GPU, under the names of its kernels, elsewhere of the CPU.
    """
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        act()
        _wait(device)
    own = f"self_{'device' if device.type == 'cuda' else 'cpu'}_time_total"
    took = ((event.key, getattr(event, own) / 1e6) for event in profile.key_averages())
    return dict(sorted((pair for pair in took if pair[1] > 0), key=lambda pair: -pair[1]))


def seconds(act: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Mean wall-clock time of one of ``times`` calls in a row, until the device has finished."""
    _wait(device)
    started = time.perf_counter()
    for _ in range(times):
        act()
    _wait(device)
    return (time.perf_counter() - started) / times


def take_turns(
    limit: Callable[[], object],
    sides: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    device: torch.device,
    times: int = 1,
    within: Callable[[], AbstractContextManager] = nullcontext,
) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]]]:
    """Time all sides in turns, in another order each round.

    The limit, which all are compared with, is timed between every few sides. Each side is timed
    ``rounds`` times, ``times`` calls in a row, in the context that ``within`` makes.

    Returns:
        Seconds of the limit; of each side; each side's ratio to the mean of the limit's timings
        just before and just after.
    """
    rng = np.random.default_rng(0)
    limits: list[float] = []
    took, ratios = ({name: [] for name in sides} for _ in range(2))

    def clock(act: Callable[[], object]) -> float:
        with within():
            return seconds(act, device, times)

    with tqdm(total=rounds * len(sides), desc="timing", unit=" timings") as bar:
        for _ in range(rounds):
            order = rng.permutation(sorted(sides)).tolist()
            limits.append(clock(limit))
            for start in range(0, len(order), BETWEEN_LIMITS):
                now = order[start : start + BETWEEN_LIMITS]
                for name in now:
                    took[name].append(clock(sides[name]))
                limits.append(clock(limit))
                for name in now:
                    ratios[name].append(took[name][-1] / ((limits[-2] + limits[-1]) / 2))
                bar.update(len(now))
    return limits, took, ratios


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Median, quartiles, extremes and number of ``values``."""
    found = np.percentile(values, [50, 25, 75, 0, 100]).tolist()
    names = ("median", "q25", "q75", "min", "max", "n")
    return dict(zip(names, [*found, len(values)], strict=True))


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()

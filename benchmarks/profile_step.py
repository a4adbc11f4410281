"""Measure the time of each operator in a training step.

    python benchmarks/profile_step.py [--workload summarization] [--grouped] [--plain-layers]

The workloads are those of benchmarks/train_speed.py. The script prints a Markdown table for each, with the slowest operators and
kernels (paddle_ft/models/kernels): their calls in a step, milliseconds in a step, and share. Forward and backward operators are
listed separately.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator

from workloads import WORKLOADS, Collate, make_rows, make_stepper

KERNELS = ("linear", "linear_gradient", "layer_norm", "layer_norm_gradient", "gelu", "gelu_gradient", "dropout", "dropout_gradient",
           "attention", "attention_gradient")  # fmt: skip


@contextlib.contextmanager
def measured_kernels() -> Iterator[dict[str, list[float]]]:
    """Yield name -> the seconds of each call of oneDNN's kernels. It is empty if Paddle's operators are used."""
    from paddle_ft.models.kernels import fastest, onednn

    seconds: dict[str, list[float]] = {}
    originals = {name: getattr(onednn, name) for name in KERNELS} if fastest() is onednn else {}

    def timed(name, original):
        def call(*args):
            started = time.perf_counter()
            try:
                return original(*args)
            finally:
                seconds.setdefault(name, []).append(time.perf_counter() - started)

        return call

    for name, original in originals.items():
        setattr(onednn, name, timed(name, original))
    try:
        yield seconds
    finally:
        for name, original in originals.items():
            setattr(onednn, name, original)


def profile_steps(name: str, steps: int, grouped: bool, plain_layers: bool) -> tuple[float, dict[str, tuple[int, float]]]:
    """Return the seconds of a step without the profiler, and operator -> (calls in a step, milliseconds in a step)."""
    rows = make_rows(name, (2 * steps + 3) * WORKLOADS[name]["batch"])
    with tempfile.TemporaryDirectory() as folder:
        setting = f"train.group_by_length={str(grouped).lower()}"
        stepper = make_stepper(name, Collate(name), rows, 2 * steps + 3, folder, setting, plain_layers=plain_layers)
        from paddle import profiler
        from paddle.profiler.profiler_statistic import StatisticData

        for step in range(3):
            stepper.train_step(step)
        started = time.perf_counter()
        for step in range(3, 3 + steps):
            stepper.train_step(step)
        seconds = (time.perf_counter() - started) / steps
        cpu = [profiler.ProfilerTarget.CPU]
        with measured_kernels() as kernels, profiler.Profiler(targets=cpu, on_trace_ready=lambda _: None) as recording:  # no file
            for step in range(3 + steps, 3 + 2 * steps):
                stepper.train_step(step)
        stepper.close()
    result = recording.profiler_result
    items = StatisticData(result.get_data(), result.get_extra_info()).event_summary.items
    table = {
        f"oneDNN: {name.replace('_', ' ')}": (len(calls) // steps, sum(calls) * 1e3 / steps) for name, calls in kernels.items()
    }
    for key, item in items.items():
        forward, backward = key.endswith(" dygraph"), key.startswith("Global_") and "PyLayer" not in key
        if forward or backward:  # operators called by a PyLayer's backward function count as forward operators
            label = key.removesuffix(" dygraph") if forward else f"{key[7:].removesuffix('GradNode').lower()}, gradient"
            table[label] = (item.call // steps, item.cpu_time / 1e6 / steps)
    return seconds, table


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=list(WORKLOADS), help="only this workload (default: all)")
    parser.add_argument("--steps", type=int, default=8, metavar="N", help="steps to average over (default: 8)")
    parser.add_argument("--grouped", action="store_true", help="group rows by length (default: batch them at random)")
    parser.add_argument("--plain-layers", action="store_true", help="use Paddle's own layers, not paddle_ft/models/cpu_layers.py")
    options = parser.parse_args()
    for name in [options.workload] if options.workload else WORKLOADS:
        seconds, table = profile_steps(name, options.steps, options.grouped, options.plain_layers)
        total = sum(milliseconds for _, milliseconds in table.values())
        print(f"\n{WORKLOADS[name]['about']}: {seconds * 1e3:.0f} ms a step, {total:.0f} ms in these under the profiler\n")
        print("| operator | calls | ms | share |\n| --- | ---: | ---: | ---: |")
        for label, (calls, milliseconds) in sorted(table.items(), key=lambda entry: -entry[1][1])[:10]:
            print(f"| {label} | {calls} | {milliseconds:.1f} | {milliseconds / total:.0%} |", flush=True)


if __name__ == "__main__":
    main()

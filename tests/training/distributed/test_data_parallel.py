"""Test data parallel training in two processes over gloo: buckets that are sent during the backward pass."""

import json
import sys
from pathlib import Path

from paddle_ft.training.distributed import launch

SCRIPT = Path(__file__).parent / "data_parallel_script.py"


def test_sums_that_are_sent_early_are_those_that_are_sent_after_the_pass(tmp_path):
    code = launch.launch_processes("cpu:2", [sys.executable, str(SCRIPT), str(tmp_path / "result")], tmp_path / "logs")
    assert code == 0, (tmp_path / "logs" / "rank-1.log").read_text()
    first, second = [json.loads((tmp_path / f"result.{rank}").read_text()) for rank in (0, 1)]
    learning, early, late = first["gradients"]
    assert early == late == learning and second["gradients"] == first["gradients"]
    assert [gradient is None for gradient in early] == [False] * 4 + [True] * 2 + [False] * 2  # the third layer is not used
    assert first["overlaps"] == second["overlaps"] == [True, True, False] and first["buckets"] > 1
    # the last pass of rank 0 gives the last layer's gradient away before the first layer's is computed, in the second step only
    assert first["sent_early"] == [[False, False], [False, True], [False, False]]

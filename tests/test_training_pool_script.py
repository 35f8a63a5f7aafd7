"""Many runs called from a plain script: what it must do is said, in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

CALL = """
from fmlora_kit.training.job import Job
from fmlora_kit.training.pool import run_many
run_many([Job("a", "frozen_backbone", 0, "runs/a")], workers=1)
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CALL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = [sys.executable, str(script)]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: run_many must be called under if __name__ == '__main__':")
    assert done.stderr.count("Traceback") == 1  # its own, none of a child
    assert not (tmp_path / "runs").exists()

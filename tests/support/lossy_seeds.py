"""The calls of ``test_a01_lost_packets`` with five seeds each: ``python -m tests.support.lossy_seeds``.

A line for each call: the delay at the beginning, the most that any second's was over it, the longest silence
in the recording beside the longest loss, and what was not as promised. Five minutes, on a quiet machine.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.app_process import running_app
from tests.support.lossy_call import APP, NETWORKS, NO_LIMITS, PACKET_SEC, problems, recorded_call


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.lossy_seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    failed = 0
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder), APP, **NO_LIMITS) as app:
        for name, impairment in NETWORKS.items():
            for seed in range(1, seeds + 1):
                call, silence_sec = recorded_call(app, impairment, seed)
                found = problems(call, silence_sec, impairment)
                failed += bool(found)
                print(
                    f"{name}, seed {seed}: lost {call.impaired.lost} of {call.impaired.packets}, "
                    f"{1_000 * call.at_first_sec:.0f} ms at first, at most "
                    f"{1_000 * max(call.growth_sec.values()):+.0f} ms, silent {1_000 * silence_sec:.0f} ms "
                    f"where {1_000 * call.impaired.longest_loss * PACKET_SEC:.0f} ms were lost; "
                    f"measured {1_000 * call.late_sec:.0f} ms late; {'; '.join(found) or 'as promised'}",
                    flush=True,
                )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

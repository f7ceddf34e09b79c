"""Sum up several runs of pytest from what `--junitxml` wrote: `python tools/sum_test_results.py FILE...`.

Prints the tests that failed and, as the last line, how many passed, failed and were skipped in all runs together. Exits
with 1 if any failed, or if a file is missing because its run did not come to its end.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def outcomes(path: Path) -> Counter[str]:
    """Count passed, failed and skipped tests in a file, and print the failed ones. A missing file is a failure."""
    if not path.is_file():
        sys.stdout.write(f"FAILED {path} is missing: that run of pytest did not end\n")
        return Counter(failed=1)
    counts: Counter[str] = Counter()
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314  # pytest's own file
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            sys.stdout.write(f"FAILED {case.get('classname')}::{case.get('name')}\n")
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return counts


def seconds(path: Path) -> float:
    if not path.is_file():
        return 0.0
    return sum(float(suite.get("time", 0)) for suite in ElementTree.parse(path).iter("testsuite"))  # noqa: S314


def main(paths: list[Path]) -> int:
    total: Counter[str] = sum(map(outcomes, paths), Counter())
    minutes, rest = divmod(round(sum(map(seconds, paths))), 60)
    sys.stdout.write(f"all runs of pytest took {minutes}:{rest:02} minutes\n")
    sys.stdout.write(", ".join(f"{total[name]} {name}" for name in ("passed", "failed", "skipped")) + "\n")
    return int(total["failed"] > 0 or total["passed"] == 0)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))

"""Compare the speed of this checkout's service with that of another checkout, in one run.

`git worktree add ../before COMMIT && python -m bench.service_change ../before`

Both run in the same environment over the same collection of 100,000 synthetic vectors with the same random ViT-B/32,
and answer from 127.0.0.1 without a cache. They are measured in turns. Each line is the median of the rounds' ratios of
new to old: milliseconds of a text and of an upload (less is better), searches a second of 32 clients (more is better).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np

from bench.support.load_generator import Load, LoadGenerator, Outcome
from bench.support.material import Material, Queries
from bench.support.ours import Ours
from bench.support.serving import serving

COLLECTION = "100k"
CLIENTS = 32
RATE = 600  # texts a second that are prepared, more than are ever answered
WARM = 1.0  # seconds of load before answers count


@contextmanager
def service_of(checkout: Path, material: Material) -> Iterator[Ours]:
    """Run the service of a checkout over the collection, without a cache and without refusing anybody."""
    flags = ["--models", str(material.models.resolve()), "--indices", str(material.collection(COLLECTION).resolve())]
    flags += ["--cache-bytes", "0", "--deadline", "3600"]
    with tempfile.TemporaryDirectory() as logs, serving(Path(logs), flags, checkout) as service:
        yield Ours(service)


class Comparison:
    """Rounds in which each service is measured in turn."""

    def __init__(self, services: Mapping[str, Ours], pictures: Sequence[bytes], generator: LoadGenerator) -> None:
        self._services = services
        self._pictures = cycle(pictures)
        self._generator = generator
        self._queries = Queries(0)

    def text(self, service: Ours) -> float:
        """Return the median milliseconds of 40 new texts, one after another."""
        return self._latency(service, [service.text(text) for text in self._queries.take(40)])

    def upload(self, service: Ours) -> float:
        """Return the median milliseconds of 12 uploads, one after another."""
        return self._latency(service, [service.upload(picture) for picture in islice(self._pictures, 12)])

    def rate(self, service: Ours) -> float:
        """Return the searches a second of 32 clients over six seconds."""
        seconds = WARM + 6.0
        requests = [service.text(text) for text in self._queries.take(int(RATE * seconds))]
        load = Load(service.port, requests, CLIENTS, seconds=seconds)
        return _answered(self._generator.run(load)).rate(WARM)

    def ratios(self, measure: str, rounds: int) -> tuple[float, float, float]:
        """Return the medians of old and new, and of the rounds' ratios of new to old. Who begins alternates."""
        measured: dict[str, list[float]] = {name: [] for name in self._services}
        for number in range(rounds):
            for name in sorted(self._services, reverse=number % 2 == 1):
                measured[name].append(getattr(self, measure)(self._services[name]))
        pairs = zip(measured["old"], measured["new"], strict=True)
        return median(measured["old"]), median(measured["new"]), median(new / old for old, new in pairs)

    def _latency(self, service: Ours, requests: Sequence[bytes]) -> float:
        return float(np.median(_answered(self._generator.run(Load(service.port, requests))).latencies))


def _answered(outcome: Outcome) -> Outcome:
    statuses = sorted(set(outcome.status.tolist()))
    if statuses != [200]:
        raise RuntimeError(f"expected only answers with status 200, got {statuses}")
    return outcome


def main() -> None:
    """Measure, and print a line for each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkout of the code to compare with")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keep", type=Path, default=Path("work/bench"), help="folder for the model and the collection")
    arguments = parser.parse_args()
    material = Material(arguments.keep)
    with ExitStack() as stack:
        checkouts = {"old": arguments.before, "new": Path.cwd()}
        services = {name: stack.enter_context(service_of(path, material)) for name, path in checkouts.items()}
        comparison = Comparison(services, material.pictures(), stack.enter_context(LoadGenerator()))
        comparison.ratios("text", 1)  # warm both up
        for measure, unit in (("text", "ms"), ("upload", "ms"), ("rate", "a second")):
            old, new, ratio = comparison.ratios(measure, arguments.rounds)
            print(f"{measure:8} old {old:7.2f} {unit}, new {new:7.2f} {unit}, ratio new/old {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()

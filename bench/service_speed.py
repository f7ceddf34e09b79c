"""The service against `clip-retrieval back` and against the bare work of a search, in one run.

`make setup-all setup-peer && python -m bench.service_speed` writes `bench/results/service-speed.md` and `.svg`.

Both services load the same ViT-B/32 of seeded random weights and search the same 100,000 synthetic vectors
through the same FAISS index, set alike; both answer with 20 results from 127.0.0.1; the same process
(`bench.support.load_generator`) sends both the same texts of 2 to 6 words, none of them twice, and the same
512 x 512 PNG files. Their answers show that both encode them to the same query vectors. The measured service changes
every few seconds, and the median of the rounds' ratios is compared, so that other load of the machine cancels.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.pages.service_page import Figures, write
from bench.support import peer as peers
from bench.support.bare import Bare
from bench.support.load_generator import BROKEN, Load, LoadGenerator, Outcome
from bench.support.material import Material, Queries, stored
from bench.support.null_server import null_server
from bench.support.ours import LIMIT, Ours, get, memory, ours, seconds_to_start
from bench.support.peer import Peer
from bench.support.weights import weights_of
from service.settings import Settings

RESULTS = Path("bench/results")
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
PEER_CLIENTS = (1, 8, 32, 64)
COMPARED = "100k"  # the collection that both serve
ENOUGH = 600  # texts for each second that clients send requests
OVERLOAD = 10  # times the capacity
MIXED, EVERY = 50_000, 5_000  # requests whose memory is watched, and how often it is read
# Nothing is answered from the cache and no request is refused, however slow the machine: the peer does neither.
COMPUTING = ("--cache-bytes", "0", "--deadline", "3600")


class Measuring:
    """One run. `effort` is 1 for a run that counts; less shortens everything."""

    def __init__(self, material: Material, work: Path, effort: float) -> None:
        self.figures = Figures()
        self._material = material
        self._work = work
        self._effort = effort
        self._queries = Queries(0)
        self._uploads = material.pictures()
        self._bundle = material.bundle()
        self._generator: LoadGenerator

    def run(self, only: Sequence[str]) -> None:
        """Run the sections with these names; all sections if there are none."""
        with LoadGenerator() as self._generator:
            for name, measure in self.sections().items():
                if not only or name in only:
                    started = time.monotonic()
                    measure()
                    logging.getLogger(__name__).info("%s: %.0f s", name, time.monotonic() - started)

    def sections(self) -> Mapping[str, Callable[[], None]]:
        """Return the sections by name, in order."""
        return {
            "compared": self.compared,
            "sizes": self.sizes,
            "start": self.start,
            "cached": self.cached,
            "overload": self.overload,
            "steady": self.steady,
        }

    def _seconds(self, seconds: float) -> float:
        return max(1.0, seconds * self._effort)

    def _count(self, count: int) -> int:
        return max(3, round(count * self._effort))

    @contextmanager
    def _ours(self, name: str, *flags: str) -> Iterator[Ours]:
        with ours(self._work, [*self._where(name), *flags]) as running:
            yield running

    def _where(self, name: str) -> list[str]:
        return ["--models", str(self._material.models), "--indices", str(self._material.collection(name))]

    @contextmanager
    def _peer(self) -> Iterator[Peer]:
        version = self._material.version(COMPARED)
        folder = self._work / "peer"
        captions = [f"caption {row}" for row in range(len(stored(version)))]
        peers.prepare(version, folder, captions)
        with peers.peer(folder, self._material.checkpoint, LIMIT) as peer:
            yield peer

    def _one_by_one(self, port: int, requests: Sequence[bytes]) -> NDArray[np.float64]:
        """Return the milliseconds of each request."""
        return _all_answered(self._generator.run(Load(port, requests))).latencies

    def _closed(self, port: int, ask: Callable[[str], bytes], clients: int, seconds: float) -> Outcome:
        """Let so many clients search at once, each time for another text."""
        texts = self._queries.take(int(ENOUGH * seconds))
        return _all_answered(self._generator.run(Load(port, [ask(text) for text in texts], clients, seconds=seconds)))

    def compared(self) -> None:
        """Measure everything that is compared with the peer and the bare work."""
        version = self._material.version(COMPARED)
        with ExitStack() as stack:
            ours = stack.enter_context(self._ours(COMPARED, *COMPUTING))
            int8 = stack.enter_context(self._ours(COMPARED, *COMPUTING, "--precision", "int8"))
            peer = stack.enter_context(self._peer())
            bare = stack.enter_context(Bare(self._bundle, version))
            self._memory(ours, int8, peer)  # before long answers are read, which map every vector
            self._same_vectors(ours, peer, stored(version))
            self._texts(ours, int8, peer, bare)
            self._pictures(ours, int8, peer)
            self._throughput(ours, int8, peer, bare)
            self._clients(ours, peer)

    def _same_vectors(self, ours: Ours, peer: Peer, vectors: NDArray[np.float16]) -> None:
        texts, pictures = self._queries.take(self._count(20)), self._uploads[: self._count(10)]
        of_texts = [(ours.vector(vectors, text=text), peer.vector(vectors, text=text)) for text in texts]
        of_pictures = [
            (ours.vector(vectors, picture=picture), peer.vector(vectors, picture=picture)) for picture in pictures
        ]
        self.figures.alike = {
            "texts": (_least_cosine(of_texts), _between(of_texts), len(of_texts)),
            "pictures": (_least_cosine(of_pictures), _between(of_pictures), len(of_pictures)),
        }

    def _memory(self, ours: Ours, int8: Ours, peer: Peer) -> None:
        """Measure resident bytes after each service has encoded texts and pictures, one at a time."""
        texts, pictures = self._queries.take(20), self._uploads[:20]
        for name, server, process in (
            ("ours", ours, ours.pid),
            ("int8", int8, int8.pid),
            ("peer", peer, peer.process.pid),
        ):
            requests = [*map(server.text, texts), *map(server.upload, pictures)]
            self._one_by_one(server.port, requests)
            self.figures.memory[name] = memory(process)
        for name, precision in (("ours", "fp32"), ("int8", "int8")):
            self.figures.memory[name]["weights"] = weights_of(self._bundle, precision)

    def _texts(self, ours: Ours, int8: Ours, peer: Peer, bare: Bare) -> None:
        before, observed = ours.stages(), []
        for _ in range(self._count(8)):
            texts = self._queries.take(40)
            times = {
                "bare": bare.one_by_one(texts),
                "ours": self._one_by_one(ours.port, list(map(ours.text, texts))),
                "int8": self._one_by_one(int8.port, list(map(int8.text, texts))),
                "peer": self._one_by_one(peer.port, list(map(peer.text, texts[:30]))),
            }
            self.figures.texts.add({name: float(np.median(milliseconds)) for name, milliseconds in times.items()})
            observed.append(times["ours"])
        self.figures.stages = _spent(before, ours.stages(), np.concatenate(observed))

    def _pictures(self, ours: Ours, int8: Ours, peer: Peer) -> None:
        for number in range(self._count(6)):
            pictures = [self._uploads[(number * 15 + place) % len(self._uploads)] for place in range(15)]
            times = {
                name: self._one_by_one(server.port, list(map(server.upload, pictures)))
                for name, server in (("ours", ours), ("int8", int8), ("peer", peer))
            }
            self.figures.pictures.add({name: float(np.median(milliseconds)) for name, milliseconds in times.items()})

    def _throughput(self, ours: Ours, int8: Ours, peer: Peer, bare: Bare) -> None:
        """Measure 32 clients; the bare work runs beside a load generator as busy as with the service."""
        body = self._generator.run(Load(ours.port, [ours.text("a body")], keep=True)).bodies[0]
        with null_server(body) as nothing:
            for _ in range(self._count(4)):
                warm, seconds = 1.0, 1.0 + self._seconds(6)
                rates = {
                    "ours": self._closed(ours.port, ours.text, 32, seconds).rate(warm),
                    "int8": self._closed(int8.port, int8.text, 32, seconds).rate(warm),
                }
                texts = self._queries.take(int(ENOUGH * seconds))
                beside = Load(nothing, [ours.text(text) for text in texts], rate=rates["ours"], seconds=seconds)
                asking = self._generator.start(beside)
                rates["bare"] = bare.batched(texts, 32, seconds - 0.5).result()
                _all_answered(asking.result())
                long = self._seconds(12) + 4.0
                rates["peer"] = self._closed(peer.port, peer.text, 32, long).rate(4.0)
                self.figures.throughput.add(rates)

    def _clients(self, ours: Ours, peer: Peer) -> None:
        for name, server, numbers, warm, seconds in (
            ("ours", ours, CLIENTS, 1.0, 5.0),
            ("peer", peer, PEER_CLIENTS, 2.0, 12.0),
        ):
            for clients in numbers:
                outcome = self._closed(server.port, server.text, clients, warm + self._seconds(seconds))
                late = outcome.latencies[outcome.started >= warm]
                self.figures.clients.setdefault(name, {})[clients] = (outcome.rate(warm), float(np.median(late)))

    def sizes(self) -> None:
        """Measure how the cost grows with the number of vectors."""
        with ExitStack() as stack:
            running = {name: stack.enter_context(self._ours(name, *COMPUTING)) for name in ("10k", "100k", "1M")}
            for _ in range(self._count(3)):
                texts = self._queries.take(50)
                for name, ours in running.items():
                    self._one_by_one(ours.port, list(map(ours.text, texts[:10])))
                    median = float(np.median(self._one_by_one(ours.port, list(map(ours.text, texts[10:])))))
                    rate = self._closed(ours.port, ours.text, 32, 1.0 + self._seconds(5)).rate(1.0)
                    self.figures.sizes.setdefault(name, []).append((median, rate))

    def start(self) -> None:
        """Measure the start from the end of the imports to ready, with a million vectors."""
        self.figures.starts = [seconds_to_start(self._where("1M")) for _ in range(self._count(5))]

    def cached(self) -> None:
        """Measure answers from the cache."""
        with self._ours(COMPARED) as ours:
            again = [ours.text("the same again and again")] * (1 + self._count(500))
            self.figures.cached = float(np.median(self._one_by_one(ours.port, again)[1:]))

    def overload(self) -> None:
        """Send ten times what 32 clients get, without waiting for answers."""
        with self._ours(COMPARED, *COMPUTING) as ours:
            capacity = self._closed(ours.port, ours.text, 32, 1.0 + self._seconds(6)).rate(1.0)
        with self._ours(COMPARED, "--cache-bytes", "0") as ours:
            seconds = self._seconds(60)
            requests = [ours.text(text) for text in self._queries.take(int(OVERLOAD * capacity * seconds * 1.1))]
            outcome = self._generator.run(Load(ours.port, requests, rate=OVERLOAD * capacity, seconds=seconds))
            answered = outcome.latencies[outcome.status == 200]
            self.figures.overload = {
                "capacity": capacity,
                "sent": len(outcome.status) / seconds,
                "seconds": seconds,
                "deadline": 1000 * Settings.model_fields["deadline"].default,
                "answered": len(answered) / seconds,
                "median": float(np.median(answered)),
                "longest": float(answered.max()),
                "refused in": float(np.median(outcome.latencies[outcome.status == 503])),
                **{f"status {status}": int((outcome.status == status).sum()) for status in np.unique(outcome.status)},
                "lost": int((outcome.status == BROKEN).sum()),
            }
            assert ours.service.get("/readyz").status_code == 200

    def steady(self) -> None:
        """Watch the memory under mixed requests: texts, known and new, pictures, ids and invalid requests."""
        with self._ours(COMPARED, "--deadline", "3600") as ours:
            answer = ours.service.get("/search/images", q="anything", limit=200).json()
            ids = [result["id"] for result in answer["results"]]
            known = self._queries.take(500)
            every = max(100, round(EVERY * self._effort))
            for sent in range(0, round(MIXED * self._effort), every):
                requests = [self._mixed(ours, number, ids, known) for number in range(sent, sent + every)]
                outcome = self._generator.run(Load(ours.port, requests, clients=32))
                assert BROKEN < outcome.status.min() <= outcome.status.max() < 500, np.unique(outcome.status)
                self.figures.steady[sent + every] = memory(ours.pid)

    def _mixed(self, ours: Ours, number: int, ids: Sequence[str], known: Sequence[str]) -> bytes:
        place = number // 200
        match number % 200:
            case 0:
                return ours.upload(self._uploads[place % len(self._uploads)])
            case 1:
                return ours.upload(b"no picture")
            case 2:
                return get("/search/images")
            case 3:
                return get("/images/unknown")
            case kind if kind < 60:
                return ours.text(known[(61 * place + kind) % len(known)])
            case kind if kind < 80:
                return get(f"/images/{ids[(place + kind) % len(ids)]}")
            case kind if kind < 90:
                return get(f"/images/{ids[(place + kind) % len(ids)]}/similar")
            case kind:
                return ours.text(self._queries.take(1)[0], "prompts" if kind % 4 == 0 else "images")


def _all_answered(outcome: Outcome) -> Outcome:
    assert set(outcome.status.tolist()) == {200}, np.unique(outcome.status, return_counts=True)
    return outcome


def _least_cosine(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    return min(float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs)


def _between(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """Return the mean cosine of two different queries."""
    vectors = np.array([a for a, _ in pairs])
    return float((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())


def _spent(before: Mapping[str, float], after: Mapping[str, float], observed: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean milliseconds of a request in each stage, and the rest of the time that its client waited."""
    spent = {stage: 1000 * (after[stage] - before[stage]) / len(observed) for stage in after}
    spent = {stage: milliseconds for stage, milliseconds in spent.items() if milliseconds}
    return {**spent, "all else": float(observed.mean()) - sum(spent.values())}


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, default=Path("work/bench"), help="folder for inputs that are created once")
    parser.add_argument("--effort", type=float, default=1.0, help="less than 1: a shorter run, for a trial")
    parser.add_argument("--only", action="append", default=[], help="run one section, for a trial; repeatable")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger(__name__).setLevel(logging.INFO)
    logging.getLogger("bench.support.material").setLevel(logging.INFO)
    material = Material(arguments.keep)
    with tempfile.TemporaryDirectory() as work:
        measuring = Measuring(material, Path(work), arguments.effort)
        measuring.run(arguments.only)
    print(write(measuring.figures, arguments.out))


if __name__ == "__main__":
    main()

"""What it costs a build to know which prompts the model truncates.

`python -m bench.prompt_truncation [--model models/emoji]` takes prompts of the length of open-prompts' and prints CPU
time, each as the share of encoding the same prompts:

- asking the tokenizer apart from the encoder, as is done once for each text that an earlier
  release has cached;
- taking the answer from the encoder, which reads the tokens anyway, and from the cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from builder.encode.truncation import TruncationCheck
from builder.encode.vector_cache import Cache
from promptsearch.encoding.bundle import Bundle
from promptsearch.encoding.encoders import Encoders
from promptsearch.storage.digests import digest_of

COUNT = 2000  # prompts
WORDS = (8, 60)  # of a prompt; open-prompts' have 33 tokens in median and 68 at the 90th percentile


def prompts(vocabulary: list[str]) -> list[str]:
    """Return prompts of random words, the same in every run."""
    random = np.random.default_rng(0)
    return [", ".join(random.choice(vocabulary, random.integers(*WORDS)).tolist()) for _ in range(COUNT)]


def cpu(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that some work takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    """Measure, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/emoji"))
    bundle = Bundle.open(parser.parse_args().model)
    words = Path("README.md").read_text(encoding="utf-8").lower().split()
    texts = prompts([word for word in dict.fromkeys(words) if word.isalpha()])
    encoders = Encoders(bundle)
    encoders.encode_texts(texts[:64])
    encoding = cpu(lambda: encoders.encode_texts(texts))
    print(f"encoding {COUNT} prompts: {encoding:.2f} s, {encoding / COUNT * 1e3:.2f} ms each")
    vectors, truncated = encoders.encode_and_check(texts)
    digests = [digest_of(text.encode()) for text in texts]
    check = TruncationCheck(bundle)
    with tempfile.TemporaryDirectory() as folder, Cache(Path(folder) / "c", bundle) as cache:
        cache.add_texts(digests, vectors.astype("<f2"), truncated)
        asking = cpu(lambda: [check.is_truncated(text) for text in texts])
        reading = cpu(lambda: [bool(text.truncated) for text in cache.texts(digests).values()])
        listing = cpu(lambda: [bool(cut) for cut in truncated])
    print(f"asking the tokenizer apart: {asking / encoding:.2%}, {asking / COUNT * 1e6:.1f} microseconds each")
    print(f"from the encoder: {listing / encoding:.3%}")
    print(f"from the cache, with the vectors: {reading / encoding:.3%}, {reading / COUNT * 1e6:.1f} microseconds each")


if __name__ == "__main__":
    main()

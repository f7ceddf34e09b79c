"""Create the demo's pictures and model: `python -m builder.demo` runs all steps, or one."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from promptsearch.errors import PromptSearchError

from .errors import DemoError

PICTURES = Path(__file__).parent / "emoji"
BUNDLE = Path("models/emoji")
STEPS = ("fetch", "pictures", "text", "image", "align", "bundle")
MINUTES = {"text": 11.0, "image": 80.0, "align": 27.0}


def main() -> None:
    """Run the named steps and print what they wrote."""
    parser = argparse.ArgumentParser(prog="python -m builder.demo", description=__doc__)
    parser.add_argument("step", nargs="?", choices=STEPS, help="one step (default: all, in this order)")
    parser.add_argument(
        "--work", type=Path, default=Path("work"), metavar="DIR", help="downloads, runs (default: work)"
    )
    parser.add_argument("--minutes", type=float, help="duration of the training step; with a step only")
    parser.add_argument("--out", type=Path, default=BUNDLE, metavar="DIR", help=f"the bundle (default: {BUNDLE})")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        for step in [arguments.step] if arguments.step else STEPS:
            run(step, arguments)
    except (DemoError, PromptSearchError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def run(step: str, arguments: argparse.Namespace) -> None:
    """Run one step."""
    work: Path = arguments.work
    if step == "fetch":
        from .sources import fetch

        fetch(work)
        return
    if step == "pictures":
        from .pictures.pictures import write_pictures

        print(f"{write_pictures(work, PICTURES)} pictures in {PICTURES}")
        return
    from .training import training

    minutes = arguments.minutes or MINUTES.get(step, 0.0)
    match step:
        case "text":
            training.train_text(work, minutes)
        case "image":
            training.train_image(work, minutes)
        case "align":
            training.align_text(work, minutes)
        case "bundle":
            bundle = training.write_bundle(work, arguments.out)
            print(f"wrote {bundle.folder}: {dict(bundle.precisions['fp32'].fidelity)}")


if __name__ == "__main__":
    main()

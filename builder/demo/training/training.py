"""The demo model's training, step by step. Each step writes a file into `work/runs/`, with its parameters.

text   the text tower, and each class's prototype vector, from words alone
image  the image tower, on every style but one, which the figures for unseen styles are measured on
align  the text tower again, until a text's vector is that of the pictures it describes
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from promptsearch.encoding.bundle import Bundle

from ...export.export import export
from ...export.pytorch.checkpoint import Checkpoint
from ..attribution import LICENCES, write_attribution
from ..emojis import load_emojis
from ..errors import RunError
from ..pictures.gallery import make_gallery
from ..sources import EMOJIBASE, WORDNET
from ..styles import TRAINING_STYLES, package_of
from ..texts.captions import make_captions
from ..texts.senses import defined, find_senses, flag_names, with_definitions
from ..texts.teacher import SHA256 as TEACHER_SHA256
from ..texts.teacher import Teacher
from ..texts.texts import Texts
from ..texts.wordnet import load_adjectives, load_synsets, phrases
from .alignment import Seen, align_text_tower
from .image_tower import ImageRun, new_tower, see, train_image_tower
from .projection import class_vectors, fit_projection
from .text_tower import DIMENSION, TextResult, train_text_tower

log = logging.getLogger(__name__)

SEED = 0
TEXT_PHRASES = 90_000  # of WordNet's, drawn at random: more teach nothing in the time there is
ALIGN_PHRASES = 150_000
LOOKS = 2  # variations of each picture that texts are aligned with
SEEN_STRENGTH = 0.3  # of that variation
AXES_FROM = 6000  # captions that the projection's axes are fitted to
# Sets of nothing but flags are drawn less, and those in one colour, which teach little of how others look.
STYLE_WEIGHTS = {"flag": 0.5, "circle-flags": 0.5, "flagpack": 0.5, "cif": 0.5, "streamline-emojis": 0.5,
                 "emojione-monotone": 0.25, "fluent-emoji-high-contrast": 0.25}  # fmt: skip
LICENCE = "Apache-2.0"

Record = dict[str, Any]
T = TypeVar("T")


def train_text(work: Path, minutes: float) -> None:
    """Train the text tower for that long and keep it in `work/runs/text.pt`."""
    emojis = load_emojis(work)
    teacher = Teacher()
    classes = class_vectors(emojis, teacher)
    captions = make_captions(emojis, load_adjectives(work), SEED)
    texts = Texts(captions, _sample(phrases(load_synsets(work)), TEXT_PHRASES))
    projection = fit_projection(
        teacher.encode([caption.text for caption in _sample(captions, AXES_FROM)]), classes, DIMENSION
    )
    result, prototypes = train_text_tower(texts, classes, projection, teacher=teacher, seconds=60 * minutes, seed=SEED)
    _keep_text(work, "text", result, texts, minutes, prototypes=prototypes)


def align_text(work: Path, minutes: float) -> None:
    """Train the text tower on towards the image tower's pictures and keep it in `work/runs/align.pt`.

    Training continues from that file if it exists.
    """
    emojis = load_emojis(work)
    teacher = Teacher()
    synsets = list(load_synsets(work))
    classes = class_vectors(emojis, teacher)
    senses = find_senses(emojis, synsets, teacher, classes)
    captions = make_captions(emojis, load_adjectives(work), SEED)
    known = {caption.text for caption in captions}
    captions += [
        caption for caption in (*flag_names(emojis, senses, synsets), *defined(senses)) if caption.text not in known
    ]
    texts = Texts(captions, _sample(phrases(synsets), ALIGN_PHRASES))
    log.info("align: %d captions, %d texts in all", len(captions), len(texts.known))
    vectors = _taught(work, [caption.text for caption in texts.known], teacher)
    first, image = _load(work, "text"), _load(work, "image")
    start = _load(work, "align") if (work / "runs" / "align.pt").is_file() else first
    tower = new_tower()
    tower.load_state_dict(image["state"])
    gallery = make_gallery(image["record"]["styles"], emojis, work, SEED)
    torch.manual_seed(SEED)
    looks = torch.cat([see(tower.eval(), gallery, emojis, SEEN_STRENGTH) for _ in range(LOOKS)])
    seen = Seen(looks, gallery, image["record"]["style_weights"], first["prototypes"])
    result = align_text_tower(
        start["state"], texts, vectors, with_definitions(classes, senses), seen, seconds=60 * minutes, seed=SEED
    )
    _keep_text(work, "align", result, texts, minutes, before=start["record"])


def _taught(work: Path, texts: Sequence[str], teacher: Teacher) -> Tensor:
    """Return the teacher's vectors, float32 [n, 384]; those of the last texts are kept in `work`, for the next run."""
    path = work / "runs" / "taught.pt"
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if path.is_file() and (kept := torch.load(path, weights_only=True))["texts"] == digest:
        return cast(Tensor, kept["vectors"].float())
    vectors = teacher.encode(texts)
    _keep(work, "taught", {"texts": digest, "vectors": vectors.half()})
    return vectors.half().float()


def _sample(population: Sequence[T], count: int) -> list[T]:
    return random.Random(SEED).sample(population, min(count, len(population)))


def _keep_text(
    work: Path, name: str, result: TextResult, texts: Texts, minutes: float, *,
    prototypes: Tensor | None = None, before: Record | None = None,
) -> None:  # fmt: skip
    record = {
        "minutes": minutes,
        "seed": SEED,
        "steps": result.steps,
        "texts": dict(Counter(caption.kind for caption in texts.known)),
        "teacher": f"all-MiniLM-L6-v2, SHA-256 {TEACHER_SHA256}",
        "curve": result.curve,
        "before": before,
    }
    _keep(work, name, {"state": result.tower.clip_state(), "prototypes": prototypes, "record": record})


def train_image(work: Path, minutes: float) -> None:
    """Train the image tower on every style but the held-out one and keep it in `work/runs/image.pt`.

    Training continues from that file if it exists.
    """
    emojis = load_emojis(work)
    prototypes = _load(work, "text")["prototypes"]
    gallery = make_gallery(TRAINING_STYLES, emojis, work, SEED)
    log.info("image: %d pictures in %d styles", len(gallery.classes), len(gallery.names))
    tower, before = new_tower(), None
    run = ImageRun(60 * minutes, SEED, STYLE_WEIGHTS, peak=1e-3, strength=0.0)
    if (work / "runs" / "image.pt").is_file():
        kept = _load(work, "image")
        tower.load_state_dict(kept["state"])
        before = kept["record"]
        run = ImageRun(60 * minutes, SEED + 1, STYLE_WEIGHTS, peak=7e-4, strength=0.5)
    started = time.time()

    def save(average: nn.Module, scale: Tensor, curve: list[dict[str, float]]) -> None:
        record = {
            **asdict(run),
            "styles": list(TRAINING_STYLES),
            "pictures": len(gallery.classes),
            "wall_seconds": round(time.time() - started),
            "curve": curve,
            "before": before,
        }
        _keep(work, "image", {"state": average.state_dict(), "scale": scale, "record": record})

    train_image_tower(tower, gallery, emojis, prototypes, run, save)


def write_bundle(work: Path, out: Path) -> Bundle:
    """Export both towers as a model bundle, with `training.json` in it."""
    text, image = _load(work, "align"), _load(work, "image")
    state = {**text["state"], **{f"visual.{name}": value for name, value in image["state"].items()}}
    # In half precision, as OpenAI's checkpoints are: the export then stores it in half the bytes, exactly.
    state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    state["logit_scale"] = image["scale"].float()
    path = work / "runs" / "emoji-clip.pt"
    torch.save(state, path)
    trained_on = [EMOJIBASE, WORDNET, *(package_of(style) for style in image["record"]["styles"])]
    attribution = write_attribution(trained_on, work / "runs" / "ATTRIBUTION.md")
    bundle = export(Checkpoint.file(path), out, licence=LICENCE, licence_files=(attribution, *LICENCES))
    record = {
        "text": text["record"],
        "image": image["record"],
        "packages": [
            f"{package.name} {package.version} ({package.licence}, {package.author})" for package in trained_on
        ],
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}",
    }
    (out / "training.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return bundle


def _keep(work: Path, name: str, content: Record) -> None:
    path = work / "runs" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def _load(work: Path, name: str) -> Record:
    path = work / "runs" / f"{name}.pt"
    if not path.is_file():
        raise RunError(f"{path} is missing: run `python -m builder.demo {name}` first")
    content: Record = torch.load(path, weights_only=True)
    return content

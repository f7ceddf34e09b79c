"""Create the files of `bench.support.material`: weights, a bundle, collections, pictures. Needs PyTorch and minutes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.builder_speed import write_pictures
from bench.index_quality import Synthetic
from bench.support.checkpoints import VIT_B_32, random_state, save
from builder.export.export import export
from builder.export.pytorch.checkpoint import Checkpoint
from builder.indexing.index import index
from builder.sources import Item
from builder.versions.publish import publish
from builder.versions.staging import Staging
from builder.versions.versions import version_name
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.manifest import Manifest, ModelReference


def make_checkpoint(path: Path) -> None:
    """Write a state dict whose weights fit half precision, like OpenAI's: the peer rounds them to that."""
    save(Checkpoint("random", "", random_state(VIT_B_32)).model().state_dict(), path)


def make_bundle(checkpoint: Path, path: Path) -> None:
    """Export the same weights for us, in fp32 and int8."""
    export(Checkpoint.file(checkpoint), path, precision="int8", licence="none")


def make_pictures(folder: Path) -> None:
    """Write PNG files of 512 x 512 pixels, as image generators do."""
    folder.mkdir()
    write_pictures(folder)


def make_collection(collection: Path, bundle: Bundle, count: int, prompts: Sequence[str]) -> None:
    """Publish a collection of `count` pictures, the same number of each prompt; a picture's seed is its row."""
    synthetic = Synthetic(count)
    with Staging(collection, bundle.embedding_dim) as staging:
        for start in range(0, count, 10_000):
            for row, vector in enumerate(synthetic.pictures(10_000), start):
                prompt = prompts[row * len(prompts) // count]
                settings = {"seed": row, "steps": 50, "cfg_scale": 7.0, "sampler": "k_lms", "model": "made-up"}
                address = f"https://example.org/{row}.png"
                staging.add(Item(address, address, prompt, None, 512, 512, settings), vector)
        staging.prompts.append(synthetic.texts(len(prompts)))
        counts = staging.counts()
    now = datetime.now(UTC)
    Manifest(
        collection=collection.name,
        version=version_name(now),
        created=now.isoformat(timespec="seconds"),
        model=ModelReference(bundle.name, bundle.identity, bundle.embedding_dim),
        source={"kind": "manifest", "root": collection.name},
        counts=counts,
        images=None,
        prompts=None,
        build={"engine": "none", "seconds": {}},
        files={},
    ).write(staging.folder)
    index(collection)
    publish(collection)

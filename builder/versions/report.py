"""Collections and their versions, described in lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptsearch.errors import CollectionError, NotReady
from promptsearch.storage.hidden import read_hidden
from promptsearch.storage.manifest import FILES, KINDS, IndexInfo, Kind, Manifest, current_version

from ..sizes import format_size
from .hide import hidden_and_gone
from .versions import size_of, versions


def list_versions(collection: Path) -> Iterator[str]:
    """Yield the lines of a collection in `list`: its versions, newest first, the current one marked."""
    yield collection.name
    try:
        current = current_version(collection)
    except CollectionError as error:
        yield f"   {error}"
        return
    for version in reversed(versions(collection)):
        mark = "*" if version == current else " "
        try:
            manifest = Manifest.read(version)
        except CollectionError as error:
            yield f" {mark} {version.name}  {error}"
            continue
        yield f" {mark} {version.name}  {format_size(size_of(version)):>9}  {describe_counts(manifest)}"


def describe_version(collection: Path) -> Iterator[str]:
    """Yield the lines of the current version in `show`. Raises CollectionError."""
    folder = current_version(collection)
    manifest = Manifest.read(folder)
    old = len(versions(collection)) - 1
    yield f"{collection.name} version {manifest.version}, built {manifest.created}, {format_size(size_of(folder))}"
    yield f"  {describe_counts(manifest)}"
    yield f"  model {manifest.model.name} ({manifest.model.identity[:12]}), {manifest.model.embedding_dim} dimensions"
    yield f"  source {manifest.source['kind']}"
    if manifest.milvus is not None:
        yield f"  held by Milvus at {manifest.milvus.address}: {manifest.milvus.images}, {manifest.milvus.prompts}"
    for kind in KINDS:
        if info := manifest.index(kind):
            yield f"  {describe_index(kind, info)}"
    for name in sorted(manifest.files):
        yield f"  {name}: {format_size((folder / name).stat().st_size)}"
    yield f"  built in {describe_seconds(manifest)}: " + ", ".join(
        f"{stage} {value:.1f} s" for stage, value in manifest.build["seconds"].items()
    )
    if rate := manifest.build.get("images_a_second"):
        encoded, known = manifest.build["encoded"], manifest.build["from_cache"]
        yield f"  {encoded['images']} images encoded, {rate:.1f} a second; {known['images']} were known already"
    if truncated := manifest.build.get("prompts_truncated"):
        yield f"  {truncated} prompts are longer than the model reads, and embedded by their beginning"
    why = f", {folder / FILES.quarantine} names each:" if manifest.build.get("quarantined") else ""
    yield f"  {manifest.counts['quarantined']} in quarantine{why}"
    for reason, count in manifest.build.get("quarantined", {}).items():
        yield f"    {count}: {reason}"
    hidden = {takedown.id for takedown in read_hidden(collection)}
    yield f"  {len(hidden)} ids hidden, {old} old version{'' if old == 1 else 's'} kept"
    if hidden:
        yield from _gone(collection)


def _gone(collection: Path) -> Iterator[str]:
    try:
        gone = hidden_and_gone(collection)
    except NotReady as error:
        yield f"    which of them this version has is unknown: {error}"
        return
    for takedown in gone:
        yield f"    {takedown.id} is not in this version; it stays hidden if it comes back"


def describe_index(kind: Kind, info: IndexInfo) -> str:
    """Return a description of an index: its key, its search parameters and its measured recall."""
    recall = ", ".join(f"{value:.3f} for {name}" for name, value in info.recall_at_10.items())
    searched = "" if info.nprobe is None else f" ({info.nprobe} lists probed, {info.candidates or 0} candidates scored)"
    short = "" if info.reached else f"; THE TARGET OF {info.recall_target} WAS NOT REACHED: allow more --max-memory"
    return f"{info.vectors} {kind} as {info.key}{searched}: recall@10 {recall}{short}"


def describe_counts(manifest: Manifest) -> str:
    """Return the numbers of prompts, images and vectors as text."""
    counts = manifest.counts
    return f"{counts['prompts']} prompts, {counts['images']} images ({counts['image_vectors']} with a vector)"


def describe_seconds(manifest: Manifest) -> str:
    """Return how long the build took as text."""
    return f"{sum(manifest.build['seconds'].values()):.1f} s"


def list_data(collection: Path) -> dict[str, Any]:
    """Return a collection in `list --json`: what `list_versions` says, or the error of each version."""
    try:
        current = current_version(collection).name
    except CollectionError as error:
        return {"collection": collection.name, "error": str(error)}
    return {
        "collection": collection.name,
        "current": current,
        "versions": [_version_data(version) for version in reversed(versions(collection))],
    }


def _version_data(version: Path) -> dict[str, Any]:
    try:
        counts = Manifest.read(version).counts
    except CollectionError as error:
        return {"version": version.name, "error": str(error)}
    return {"version": version.name, "bytes": size_of(version), "counts": counts}


def version_data(collection: Path) -> dict[str, Any]:
    """Return the current version in `show --json`: its manifest, its size, takedowns, old versions."""
    folder = current_version(collection)
    return {
        **asdict(Manifest.read(folder)),
        "bytes": size_of(folder),
        "hidden": sorted({takedown.id for takedown in read_hidden(collection)}),
        "old_versions": [version.name for version in versions(collection) if version != folder],
    }

"""Copy a version from files into Milvus, and make that the served version."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from promptsearch.engines.milvus.connection import Connection
from promptsearch.engines.milvus.schema import ALL_OF, schema
from promptsearch.errors import BuildError, CollectionError
from promptsearch.remote.store import is_url
from promptsearch.storage.fields import FieldColumns
from promptsearch.storage.manifest import FILES, KINDS, Kind, Manifest, MilvusReference, current_version

from ..versions.publish import KEEP, publish_folder
from ..versions.versions import version_name
from .entities import Entities
from .filling import fill
from .recall import tuned

_KEPT = (FILES.thumbnails, FILES.raw, FILES.quarantine, FILES.digests)  # of the files, those that stay files


def publish_to_milvus(collection: Path, address: str, *, keep: int = KEEP) -> Manifest:
    """Fill Milvus with the current version, and make that the current one; returns its manifest.

    `address` is a URL, or a path where Milvus Lite keeps its data; a token comes from the environment (MILVUS_TOKEN).
    Interrupted runs resume. The served version stays until everything is in Milvus, counted and measured.
    Raises BuildError, NotReady if Milvus does not answer, and NotInstalled.
    """
    folder = current_version(collection)
    manifest = Manifest.read(folder)
    if manifest.milvus is not None:
        raise BuildError(
            f"version {manifest.version} of {collection.name} is held by Milvus already, at {manifest.milvus.address}: "
            "build it again, then publish it there"
        )
    address = address if is_url(address) else str(Path(address).absolute())
    names = _names(collection.name, manifest.version, address)
    connection = Connection(address)
    try:
        fields = FieldColumns(folder, manifest.counts["images"])
        try:
            for kind in KINDS:
                _fill(connection, names.collection(kind), kind, folder, manifest, fields)
            summary = json.dumps([asdict(field) for field in fields], ensure_ascii=False)
        finally:
            fields.close()
        milvus_manifest = replace(
            manifest,
            version=version_name(datetime.now(UTC)),
            milvus=names,
            images=tuned(connection, names.images, folder, "images", manifest.images),
            prompts=tuned(connection, names.prompts, folder, "prompts", manifest.prompts),
        )
        published = publish_folder(collection, _folder(collection, folder, summary), milvus_manifest, keep=keep)
        _alias(connection, collection.name, names)
    finally:
        connection.close()
    return published


def _names(collection: str, version: str, address: str) -> MilvusReference:
    stem = _name(collection, version)
    return MilvusReference(address, f"{stem}_images", f"{stem}_prompts")


def _name(collection: str, part: str) -> str:
    """Return a name in the characters that Milvus allows."""
    return re.sub(r"\W", "_", f"prompt_search_{collection}_{part}", flags=re.ASCII)


def _fill(
    connection: Connection, name: str, kind: Kind, folder: Path, manifest: Manifest, fields: FieldColumns
) -> None:
    info, client = manifest.index(kind), connection.client
    dim = manifest.model.embedding_dim if info else None
    with connection.errors():
        if not client.has_collection(name):
            client.create_collection(name, schema=schema(kind, dim, list(fields), connection.dtype))
    with Entities(folder, kind, manifest, fields, connection.dtype) as entities:
        fill(connection, name, entities, 0 if info is None else info.vectors)
    if (count := connection.count(name, ALL_OF)) != manifest.counts[kind]:
        raise CollectionError(
            f"{name} in Milvus at {connection.address} holds {count} {kind} after {manifest.counts[kind]} were "
            "written: drop that collection, and run this again"
        )


def _folder(collection: Path, source: Path, fields: str) -> Path:
    """Write the files that a version in Milvus keeps."""
    folder = collection / "staging-milvus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / FILES.field_list).write_text(fields, encoding="utf-8")
    for name in _KEPT:
        if (source / name).is_file():
            _link(source / name, folder / name)
    return folder


def _link(source: Path, target: Path) -> None:
    """Link a file into another version, or copy it if the file system has no hard links: no file ever changes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _alias(connection: Connection, collection: str, names: MilvusReference) -> None:
    """Let other users of this Milvus find the version that is served under one name.

    The service does not go by it: a cursor names its version, and two aliases cannot be moved at one moment.
    """
    for kind in KINDS:
        alias = _name(collection, kind)
        with connection.errors():
            known = connection.client.list_aliases(names.collection(kind)).get("aliases", [])
            if alias in known:
                continue
            change = connection.client.alter_alias if _exists(connection, alias) else connection.client.create_alias
            change(names.collection(kind), alias)


def _exists(connection: Connection, alias: str) -> bool:
    from pymilvus.exceptions import MilvusException

    try:
        return bool(connection.client.describe_alias(alias))
    except MilvusException:
        return False

"""The file through which a cache shares its digests with other processes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from builder.encode.vector_cache import Cache, CachedPicture, KnownPictures
from promptsearch.encoding.bundle import Bundle
from promptsearch.storage.digests import digest_of


def test_known_pictures_are_read_without_the_cache(vit_bundle: Bundle, tmp_path: Path) -> None:
    first, other = digest_of(b"one"), digest_of(b"other")
    with Cache(tmp_path / "c", vit_bundle) as cache:
        cache.write_known(tmp_path / "none.sqlite")
        cache.add_pictures([(first, CachedPicture(np.zeros(32, np.float16), (8, 8), b""))])
        assert cache.has_picture(first)
        assert not cache.has_picture(other)
        cache.write_known(tmp_path / "known.sqlite")
    with closing(KnownPictures(tmp_path / "none.sqlite")) as none:
        assert first not in none
    with closing(KnownPictures(tmp_path / "known.sqlite")) as known:
        assert first in known
        assert other not in known


def test_models_do_not_share_vectors(vit_bundle: Bundle, tmp_path: Path) -> None:
    digest, picture = digest_of(b"one"), CachedPicture(np.zeros(32, np.float16), (8, 8), b"")
    with Cache(tmp_path / "c", vit_bundle) as cache:
        cache.add_pictures([(digest, picture)])
        cache.add_texts([digest], [picture.vector], [False])
    stranger = replace(vit_bundle, source=replace(vit_bundle.source, sha256="0" * 64))
    with Cache(tmp_path / "c", stranger) as other:
        assert other.picture(digest) is None
        assert other.texts([digest]) == {}
    with Cache(tmp_path / "c", vit_bundle) as again:
        assert again.picture(digest) is not None
        assert list(again.texts([digest])) == [digest]

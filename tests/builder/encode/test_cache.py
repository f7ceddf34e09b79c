"""The file through which a cache shares its digests with other processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from builder.encode.cache import Cache, CachedPicture, KnownPictures, digest_of
from promptsearch.encoding.bundle import Bundle


def test_known_pictures_are_told_without_the_cache(vit_bundle: Bundle, tmp_path: Path) -> None:
    first, other = digest_of(b"one"), digest_of(b"other")
    with Cache(tmp_path / "c", vit_bundle) as cache:
        cache.write_known(tmp_path / "none.sqlite")
        cache.add_pictures([(first, CachedPicture(np.zeros(32, np.float16), (8, 8), b""))])
        assert cache.has_picture(first)
        assert not cache.has_picture(other)
        cache.write_known(tmp_path / "known.sqlite")
    assert first not in KnownPictures(tmp_path / "none.sqlite")
    known = KnownPictures(tmp_path / "known.sqlite")
    assert first in known
    assert other not in known

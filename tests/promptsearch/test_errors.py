from __future__ import annotations

from promptsearch import errors
from promptsearch.errors import NoVectors, PromptSearchError


def descendants(kind: type[PromptSearchError]) -> set[type[PromptSearchError]]:
    return {kind}.union(*(descendants(child) for child in kind.__subclasses__()))


def test_documented_tree_matches_the_classes() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "── " in line]
    names = [line.split("── ")[1].split()[0] for line in drawn]
    depths = {name: line.index("── ") // 4 + 1 for name, line in zip(names, drawn, strict=True)}
    classes = {kind for kind in descendants(PromptSearchError) if kind.__module__ == errors.__name__}
    assert depths == {
        kind.__name__: len(kind.__mro__) - len(PromptSearchError.__mro__) for kind in classes - {PromptSearchError}
    }


def test_each_kind_has_a_slug_of_its_own() -> None:
    classes = [kind for kind in descendants(PromptSearchError) if kind.__module__ == errors.__name__]
    slugs = [kind.slug for kind in classes if kind is not NoVectors]
    assert len(set(slugs)) == len(slugs)
    assert {NoVectors(kind, "").slug for kind in ("images", "prompts")} == {"no-image-index", "no-prompt-index"}

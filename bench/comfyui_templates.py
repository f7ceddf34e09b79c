"""How many of ComfyUI's published workflows give their prompt, beside a listing of all texts in them.

    pip download --no-deps comfyui-workflow-templates-json && unzip comfyui_workflow_templates_json-*.whl -d FOLDER
    python -m bench.comfyui_templates FOLDER

The listing knows nothing of graphs: it has every text of words in a widget of a node that runs. A graph without such a
text encodes none. A graph with a text but without a prompt is printed, and so is a prompt that does not consist of the
texts of its graph, for people to check.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptsearch.metadata.comfyui import read_graph

_WORDS = re.compile(r"[^\W\d_]{2,}\s+\S")
_LEAST = 15  # letters: less is an option


def texts_of(workflow: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield kind of node and text of each widget that holds words."""
    subgraphs = workflow.get("definitions", {}).get("subgraphs", [])
    for node in [node for graph in (workflow, *subgraphs) for node in graph["nodes"]]:
        if node["type"] in ("Note", "MarkdownNote") or node.get("mode") in (2, 4):
            continue
        values = node.get("widgets_values") or []
        for value in values.values() if isinstance(values, dict) else values:
            if isinstance(value, str) and len(value) > _LEAST and _WORDS.search(value):
                yield node["type"], value


def main() -> None:
    """Read the workflows of a folder; print how many are understood."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder that the package was unpacked to")
    graphs = with_prompt = with_text = with_both = 0
    for path in sorted(parser.parse_args().folder.rglob("templates/*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(workflow, dict) or "nodes" not in workflow:
            continue
        graphs += 1
        texts = list(texts_of(workflow))
        prompt = (read_graph(workflow) or {}).get("prompt")
        with_prompt += bool(prompt)
        with_text += bool(texts)
        with_both += bool(texts and prompt)
        if texts and not prompt:
            print(f"no prompt: {path.name}: {[(kind, text[:40]) for kind, text in texts[:3]]}")
        elif prompt and texts and not any(text.strip() in prompt or prompt in text for _, text in texts):
            print(f"of no text: {path.name}: {prompt[:80]!r}")
    print(f"{graphs} graphs, {with_prompt} with a prompt; {with_text} hold a text, {with_both} of them give a prompt")


if __name__ == "__main__":
    main()

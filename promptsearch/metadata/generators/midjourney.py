"""Midjourney: `Description` is the prompt with its parameters (`--ar 3:2 --v 6.1`) and the job's id."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promptsearch.metadata.generation import Cells

_JOB = re.compile(r"\s*Job ID:\s*([0-9a-fA-F-]{36})\s*$")
_PARAMETER = re.compile(r"(?:^|(?<=\s))(?:--|—)(?=[A-Za-z])")
# https://docs.midjourney.com: the parameters that select a model.
_MODELS = {"v": "Midjourney", "version": "Midjourney", "niji": "Niji"}
_NAMES = {"seed": "seed", "no": "negative_prompt", "ar": "aspect_ratio", "aspect": "aspect_ratio"}


def read(fields: Mapping[str, str]) -> Cells | None:
    """Read a description that ends with the id of a job; None if there is none."""
    for name in ("Description", "ImageDescription", "xmp.description"):
        description = fields.get(name, "")[:100_000]
        if job := _JOB.search(description):
            return _read(description[: job.start()]) | {"job_id": job[1], "generator": "Midjourney"}
    return None


def _read(description: str) -> Cells:
    prompt, *parameters = _PARAMETER.split(description)
    cells: Cells = {"prompt": prompt, "midjourney_parameters": description[len(prompt) :].strip()}
    for parameter in parameters:
        name, _, value = parameter.strip().partition(" ")
        if name in _MODELS:
            cells["model"] = f"{_MODELS[name]} {value}".strip()
        elif name in _NAMES:
            cells[_NAMES[name]] = value.strip()
    return cells

"""ComfyUI's graphs, put together from few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Graph = dict[str, dict[str, Any]]
LOADER = ("CheckpointLoaderSimple", {"ckpt_name": "m.safetensors"})
POSITIVE = ("CLIPTextEncode", {"text": "a paper crane", "clip": ["loader", 1]})
NEGATIVE = ("CLIPTextEncode", {"text": "watermark", "clip": ["loader", 1]})
LATENT = ("EmptyLatentImage", {"width": 640, "height": 480, "batch_size": 1})
SAMPLER = ("KSampler", {
    "seed": 11, "steps": 9, "cfg": 3.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
    "model": ["loader", 0], "positive": ["positive", 0], "negative": ["negative", 0], "latent_image": ["latent", 0],
})  # fmt: skip
DECODE = ("VAEDecode", {"samples": ["sampler", 0], "vae": ["loader", 2]})
SAVE = ("SaveImage", {"images": ["decode", 0], "filename_prefix": "x"})


def graph(**nodes: tuple[str, Mapping[str, Any]]) -> Graph:
    """Return a graph of one sampler with these nodes added or replaced."""
    usual: dict[str, tuple[str, Mapping[str, Any]]] = {
        "loader": LOADER, "positive": POSITIVE, "negative": NEGATIVE, "latent": LATENT, "sampler": SAMPLER,
        "decode": DECODE, "save": SAVE,
    }  # fmt: skip
    return alone(**{**usual, **nodes})


def alone(**nodes: tuple[str, Mapping[str, Any]]) -> Graph:
    return {id: {"class_type": kind, "inputs": dict(inputs)} for id, (kind, inputs) in nodes.items()}


def sampler(**inputs: Any) -> tuple[str, dict[str, Any]]:
    """Return the usual sampler with other inputs, without those that are None."""
    return "KSampler", {name: value for name, value in {**SAMPLER[1], **inputs}.items() if value is not None}


def encode(text: Any) -> tuple[str, dict[str, Any]]:
    return "CLIPTextEncode", {"text": text, "clip": ["loader", 1]}

"""Pictures as the image generators save them: the same fields, tags and encodings, with our own prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.drawing import picture

EXIF_IFD, IMAGE_DESCRIPTION, MAKE, MODEL, SOFTWARE, MAKER_NOTE, USER_COMMENT = (
    0x8769, 0x010E, 0x010F, 0x0110, 0x0131, 0x927C, 0x9286,
)  # fmt: skip

A1111 = """a fox in the snow, (oil painting:1.2), <lora:fur:0.8>
by night
Negative prompt: blurry, text
two tails
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 1234567890, Size: 512x768, Model hash: 6ce0161689, \
Model: foxes-v2, Clip skip: 2, Lora hashes: "fur: 7c6bad76eb54", Version: v1.9.4"""
FORGE = """a lighthouse, "storm"
Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 7, Size: 896x1152, \
Model hash: bea01d51bd, Model: flux1-dev-bnb, Version: f2.0.1v1.10.1-previous-659, Module 1: ae"""
COMFYUI = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 156680208700286, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal",
                   "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0],
                   "latent_image": ["5", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15/bottles.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a glass bottle, 夜の銀河", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
}  # fmt: skip
COMFYUI_SDXL = {
    "10": {
        "class_type": "KSamplerAdvanced",
        "inputs": {"noise_seed": 42, "steps": 25, "cfg": 7.5, "sampler_name": "dpmpp_2m", "scheduler": "karras",
                   "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0]},
    },
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
    "2": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": "a castle", "text_l": "a castle", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": "rain", "text_l": "rain", "clip": ["1", 1]}},
}  # fmt: skip
COMFYUI_CUSTOM = {
    "13": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {"noise": ["25", 0], "guider": ["22", 0], "sampler": ["16", 0], "sigmas": ["17", 0]},
    },
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 219670278747233}},
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["12", 0], "conditioning": ["26", 0]}},
    "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "17": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 4, "denoise": 1.0,
                                                      "model": ["12", 0]}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a robot reading", "clip": ["11", 0]}},
    "11": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "t5xxl_fp16.safetensors"}},
    "12": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-schnell.safetensors"}},
}  # fmt: skip
INVOKEAI = {
    "app_version": "5.6.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a paper boat",
    "negative_prompt": "photo",
    "width": 1024,
    "height": 1024,
    "seed": 3712123421,
    "cfg_scale": 7.5,
    "steps": 30,
    "scheduler": "dpmpp_sde_k",
    "model": {"key": "6c1ab7c5", "hash": "blake3:0af2", "name": "Juggernaut XL", "base": "sdxl", "type": "main"},
}
INVOKEAI_OLD = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.4",
    "model_hash": "fe4efff1e174c627",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.2.4",
    "image": {"prompt": [{"prompt": "a wooden horse [plastic]", "weight": 1.0}], "steps": 50, "cfg_scale": 7.5,
              "threshold": 0, "perlin": 0, "height": 512, "width": 512, "seed": 1863159593, "type": "txt2img",
              "sampler": "k_lms"},
}  # fmt: skip
NOVELAI_COMMENT = {
    "prompt": "1girl, umbrella, rain", "steps": 28, "height": 1216, "width": 832, "scale": 5.0, "uncond_scale": 0.0,
    "cfg_rescale": 0.0, "seed": 2790182331, "n_samples": 1, "noise_schedule": "karras", "sampler": "k_euler_ancestral",
    "uc": "lowres", "request_type": "PromptGenerateRequest",
}  # fmt: skip
NOVELAI = {
    "Title": "NovelAI generated image",
    "Description": "1girl, umbrella, rain",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4 37442FCA",
    "Comment": json.dumps(NOVELAI_COMMENT),
}
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8", "base_model_hash": "aeb7e9e689",
    "clip_skip": 2, "guidance_scale": 4.0, "loras": [["offset", 0.1, "4852686128"]], "metadata_scheme": "fooocus",
    "negative_prompt": "frame", "performance": "Speed", "prompt": "a teapot on the moon",
    "prompt_expansion": "a teapot on the moon, intricate", "refiner_model": "None", "refiner_switch": 0.5,
    "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "5211461",
    "sharpness": 2.0, "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)", "version": "Fooocus v2.5.5",
}  # fmt: skip


def save_png(path: Path, fields: Mapping[str, Any], *, after_pixels: bool = False) -> Path:
    """Texts as they are, anything else as JSON, like the programs do."""
    info = PngInfo()
    for name, value in fields.items():
        content = value if isinstance(value, str) else json.dumps(value)
        if after_pixels:
            info.add(b"tEXt", b"\0".join((name.encode(), content.encode("latin-1"))), after_idat=True)
        else:
            info.add_text(name, content)
    picture(len(path.name)).save(path, pnginfo=info)
    return path


def save_exif(path: Path, tags: Mapping[int, str | bytes], comment: bytes | None = None) -> Path:
    """JPEG or WebP by the suffix; `comment` is the UserComment of the Exif directory."""
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    if comment is not None:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    picture(len(path.name)).save(path, exif=exif)
    return path


def unicode_comment(text: str) -> bytes:
    """As piexif's helper writes it for AUTOMATIC1111."""
    return b"UNICODE\0" + text.encode("utf-16-be")

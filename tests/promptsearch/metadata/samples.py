"""Pictures as the image generators save them: the same fields, tags and encodings, with our own prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

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


SWARMUI = {
    "sui_image_params": {
        "prompt": "a green lamp", "negativeprompt": "dust", "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 4077, "steps": 24, "cfgscale": 6.5, "aspectratio": "1:1", "width": 1024, "height": 1024,
        "sampler": "dpmpp_2m", "scheduler": "karras", "vae": "sdxl_vae", "fluxguidancescale": 3.5,
        "loras": ["brass", "felt"], "loraweights": ["0.7", "0.4"], "clipstopatlayer": -2, "initimagecreativity": 0.6,
        "refinerupscale": 1.5, "refinerupscalemethod": "model-4x-UltraSharp", "swarm_version": "0.9.4.0",
        "date": "2025-01-02",
    },
    "sui_extra_data": {"generation_time": "0.01 sec", "original_prompt": "a <random:green,red> lamp"},
    "sui_models": [{"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0x31e35c80fc"}],
}  # fmt: skip
EASY_DIFFUSION = {
    "prompt": "a red kite", "negative_prompt": "blurry", "seed": "42", "num_inference_steps": "25",
    "guidance_scale": "7.5", "sampler_name": "euler_a", "use_stable_diffusion_model": "sd-v1-5", "width": "512",
    "height": "640", "use_vae_model": "vae-ft-mse", "use_lora_model": "kites", "lora_alpha": "0.5", "clip_skip": "True",
    "use_upscale": "RealESRGAN_x4plus", "prompt_strength": "0.8", "scheduler_name": "karras",
    "use_face_correction": "None",
}  # fmt: skip
DRAW_THINGS_COMMENT = {
    "c": "a stone bridge", "uc": "people", "seed": 3003, "steps": 8, "scale": 4.5, "sampler": "DPM++ 2M AYS",
    "model": "sd_xl_base_1.0_f16.ckpt", "strength": 0.9, "size": "1024x768", "clip_skip": 2,
    "upscaler": "realesrgan_x4plus_f16.ckpt", "guidance": 3.5, "shift": 1,
    "lora": [{"model": "mist_lora_f16.ckpt", "weight": 0.6}],
}  # fmt: skip
DRAW_THINGS_TEXT = (
    "a stone bridge\n-people\nSteps: 8, Sampler: DPM++ 2M AYS, Guidance Scale: 4.5, Seed: 3003, Size: 1024x768, "
    "Model: sd_xl_base_1.0_f16.ckpt, Strength: 0.9"
)
MIDJOURNEY = {
    "Description": "a snail made of glass, dusk --no fog --ar 3:2 --v 6.1 --seed 77 --style raw "
    "Job ID: 0b3a2b0e-54e5-4a8e-9f6d-3f7a3f0f1c11",
    "Author": "someone",
}
STABLE_DIFFUSION_CPP = (
    "a clay pot\nNegative prompt: cracks\nSteps: 12, CFG scale: 7.0, Guidance: 3.5, Eta: 0, Seed: 8, Size: 512x768, "
    "Model: sd-v1-4.ckpt, RNG: cuda, Sampler: euler_a karras, VAE: vae.safetensors, Version: stable-diffusion.cpp"
)
FORGE_HIRES = """a lighthouse <lora:waves:0.6>
Negative prompt: calm
Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 7, Size: 896x1152, \
Model hash: bea01d51bd, Model: flux1-dev-bnb, Denoising strength: 0.7, Clip skip: 2, Hires upscale: 2, \
Hires steps: 10, Hires upscaler: 4x_foolhardy_Remacri, Lora hashes: "waves: 1234abcd", \
Version: f2.0.1v1.10.1-previous-659, Module 1: ae, Module 2: t5xxl_fp16"""
A1111_HIRES = """a fox <lora:fur:0.8><lora:snow:0.3>
Negative prompt: text
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 12, Size: 512x768, Model hash: 6ce0161689, \
Model: foxes-v2, VAE hash: 235745af8d, VAE: vae-ft-mse-840000, Denoising strength: 0.4, Clip skip: 2, \
Hires upscale: 1.5, Hires upscaler: R-ESRGAN 4x+, Version: v1.10.1"""
COMFYUI_FULL = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux.safetensors"}},
    "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.8,
                                                 "strength_clip": 0.8, "model": ["1", 0], "clip": ["3", 0]}},
    "3": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["1", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "an ink crane", "clip": ["2", 1]}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["2", 1]}},
    "6": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["4", 0]}},
    "7": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 480, "batch_size": 1}},
    "8": {"class_type": "KSampler", "inputs": {
        "seed": 5, "steps": 20, "cfg": 1.5, "sampler_name": "euler", "scheduler": "beta", "denoise": 1.0,
        "model": ["2", 0], "positive": ["6", 0], "negative": ["5", 0], "latent_image": ["7", 0]}},
    "9": {"class_type": "LatentUpscaleBy", "inputs": {"upscale_method": "bislerp", "scale_by": 1.5,
                                                      "samples": ["8", 0]}},
    "10": {"class_type": "KSampler", "inputs": {
        "seed": 6, "steps": 9, "cfg": 1.5, "sampler_name": "euler", "scheduler": "beta", "denoise": 0.5,
        "model": ["2", 0], "positive": ["6", 0], "negative": ["5", 0], "latent_image": ["9", 0]}},
    "11": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "12": {"class_type": "VAEDecode", "inputs": {"samples": ["10", 0], "vae": ["11", 0]}},
    "13": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["12", 0]}},
}  # fmt: skip
INVOKEAI_FULL = {
    **INVOKEAI,
    "guidance": 4.0, "clip_skip": 1, "strength": 0.75, "vae": {"key": "k", "name": "sdxl-vae-fp16-fix"},
    "loras": [{"model": {"key": "l", "name": "paper"}, "weight": 0.55}], "hrf_enabled": True, "hrf_method": "ESRGAN",
}  # fmt: skip
NOVELAI_V4_COMMENT = {
    **NOVELAI_COMMENT,
    "strength": 0.7,
    "v4_prompt": {"caption": {"base_caption": "2girls, park", "char_captions": [
        {"char_caption": "girl, red hair", "centers": [{"x": 0.3, "y": 0.5}]},
        {"char_caption": "girl, umbrella", "centers": [{"x": 0.7, "y": 0.5}]}]}, "use_coords": True},
    "v4_negative_prompt": {"caption": {"base_caption": "lowres", "char_captions": [{"char_caption": "hat"}]}},
}  # fmt: skip


def xmp(tags: Mapping[str, str], description: str = "") -> bytes:
    """Return an XMP packet with attributes of exif and xmp, and a description."""
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in tags.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}><dc:description><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt></dc:description></rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def save_png(path: Path, fields: Mapping[str, Any], *, after_pixels: bool = False) -> Path:
    """Write a PNG with texts as they are and other fields as JSON, like the programs do."""
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
    """Write a JPEG or WebP by the suffix; `comment` is the UserComment of the Exif directory."""
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    if comment is not None:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    picture(len(path.name)).save(path, exif=exif)
    return path


def unicode_comment(text: str) -> bytes:
    """Return a comment as piexif's helper writes it for AUTOMATIC1111."""
    return b"UNICODE\0" + text.encode("utf-16-be")

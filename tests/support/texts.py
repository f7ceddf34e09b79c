"""Texts to tokenize: ordinary texts of every kind, and difficult ones."""

from __future__ import annotations

TEXTS = (
    "",
    "a",
    "happy dog",
    "It's a dog's life; they'll say we've been there, I'm sure you'd agree",
    "portrait of a woman with red hair, oil on canvas, dramatic light, 8k, f/1.8, 1:1",
    "東京の夜景、サイバーパンク",
    "🦊👩‍👩‍👧‍👦🏳️‍🌈 emoji & flags",
    "caf&eacute; &amp;amp; &lt;b&gt;bold&lt;/b&gt; naÃ¯ve",
    "one two three four five " * 15,
)

NASTY = (
    "   leading,  inner\t\n and trailing \r\n",
    "don’t can't CAN'T 'S 'll''ve 're'",
    "<|endoftext|>",
    "before <|endoftext|> after <|startoftext|> again <|ENDOFTEXT|>",
    "!<|endoftext|>! <|end of text|>",
    "\x00\x01\x7f\x80\x9f control \u200b\u200d\u2060\ufeff zero width",
    "\u2028\u2029\u0085 separators \u3000 ideographic space",
    "&amp;amp;lt; &#x1F600; &#0; &#xD800; &nbsp; &notanentity;",
    "<br> &amp;amp;lt; &amp;quot;",  # if there is a <, ftfy leaves entities to CLIP, which resolves them twice
    "mojibake: âœ” No problems, schÃ¶n",
    "İstanbul ǅ ſ ß ﬁ Å K Ω ⅷ ① ² ½ ٣ ७",  # odd lower-casing, compatibility letters, digits other than ASCII
    "\U0001e900\U0001e943 \U00010400 \U00016e40 ᲀ Ა \U0001df00 ꟊ Ꟶ 𞤢",  # scripts of recent Unicode versions
    "a\u0301e\u0308 combining \u0e01\u0e33 \u1100\u1161 नमस्ते",
    "日本語テキスト 한국어 中文 العربية עברית",
    "🇩🇪🇯🇵 👍🏽 ❤️ ☃ \U0001faf6",
    "x=1+2*3/4^5_6-7%8 #tag @user http://example.com/?a=b&c=d",
    "\ufffd\ufffe\U0010ffff",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "0123456789 1,000.50 ½⅓",
)

"""A ViT with prefixes, computed head by head and image by image: what prefix tuning must equal."""

import torch


def attend(attention, x, keys, values):
    """One attention over [prefix; tokens]: x (N, d), keys and values (length, d) -> (N, d)."""
    n_heads, size = attention.num_heads, attention.head_dim
    weight, bias = attention.qkv.weight, attention.qkv.bias
    d, heads = n_heads * size, []
    for h in range(n_heads):
        rows = [slice(part * d + h * size, part * d + (h + 1) * size) for part in range(3)]
        q, k, v = (x @ weight[r].T + bias[r] for r in rows)
        mine = slice(h * size, (h + 1) * size)
        k, v = torch.cat([keys[:, mine], k]), torch.cat([values[:, mine], v])
        q, k = attention.q_norm(q), attention.k_norm(k)
        scores = q @ k.T / size**0.5
        shares = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        heads.append(shares @ v)
    return torch.cat(heads, dim=1) @ attention.proj.weight.T + attention.proj.bias


@torch.no_grad()
def class_token(vit, image, prefixes):
    """The class token's feature of one uint8 image (H, W, 3): (d,).

    prefixes: block -> keys, values.
    """
    x = (image.permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    x = vit._pos_embed(vit.patch_embed(x.to(vit.pos_embed)))[0]
    nothing = x[:0]
    for i, block in enumerate(vit.blocks):
        x = x + attend(block.attn, block.norm1(x), *prefixes.get(i, (nothing, nothing)))
        x = x + block.mlp(block.norm2(x))
    return vit.norm(x)[0]

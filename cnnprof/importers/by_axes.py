"""Kinds by how many spatial axes they have, for formats that have one operator for all of them."""

from __future__ import annotations

from cnnprof.kinds import adaptive_pool, conv, conv_transpose, pool

CONV = {1: conv.Conv1d, 2: conv.Conv2d, 3: conv.Conv3d}
FOLDED_CONV = {2: conv.FoldedConv2d, 3: conv.FoldedConv3d}
TRANSPOSED = {1: conv_transpose.ConvTranspose1d, 2: conv_transpose.ConvTranspose2d, 3: conv_transpose.ConvTranspose3d}
MAX_POOL = {1: pool.MaxPool1d, 2: pool.MaxPool2d, 3: pool.MaxPool3d}
FOLDED_MAX_POOL = {2: pool.FoldedMaxPool2d}
AVG_POOL = {1: pool.AvgPool1d, 2: pool.AvgPool2d, 3: pool.AvgPool3d}
ADAPTIVE_MAX = {
    1: adaptive_pool.AdaptiveMaxPool1d, 2: adaptive_pool.AdaptiveMaxPool2d, 3: adaptive_pool.AdaptiveMaxPool3d,
}  # fmt: skip
ADAPTIVE_AVG = {
    1: adaptive_pool.AdaptiveAvgPool1d, 2: adaptive_pool.AdaptiveAvgPool2d, 3: adaptive_pool.AdaptiveAvgPool3d,
}  # fmt: skip

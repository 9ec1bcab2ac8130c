"""Finds the layer kinds: the classes in the folder `kinds` by its table, then those of installed packages.

A package offers a kind under the entry point `cnnprof.kinds`, its word and its class:

    [project.entry-points."cnnprof.kinds"]
    swish = "my_package.swish:Swish"

It is looked for when a word is unknown to the folder and not before, so that it costs nothing where it
is not used and can replace nothing; and it is imported when its word is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cnnprof.errors import COMPARED, UsageError, listing, nearest
from cnnprof.kinds import CLASSES as CLASSES
from cnnprof.model.kind import Kind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "cnnprof.kinds"
_plugins_wanted: ContextVar[bool] = ContextVar("plugins_wanted", default=True)


# What other frameworks and papers call a kind, in lower case, without `_` and without the axes after it (`2d`);
# `#` stands for their number. Names that differ from ours in that alone need no entry.
CALLED = {
    "affine": "linear",
    "attention": "self_attention",
    "transformer": "transformer_block",
    "expandas": "expand",
    "squeezeexcitation": "squeeze_excite",
    "max": "amax",
    "min": "amin",
    "dense": "linear",
    "fc": "linear",
    "fullyconnected": "linear",
    "innerproduct": "linear",
    "convolution": "conv#d",
    "conv2dtranspose": "conv_transpose2d",
    "conv3dtranspose": "conv_transpose3d",
    "deconv": "conv_transpose#d",
    "deconvolution": "conv_transpose#d",
    "transposedconv": "conv_transpose#d",
    "upconv": "conv_transpose#d",
    "depthwise": "conv#d: {groups: in_channels, …}",
    "depthwiseconv": "conv#d: {groups: in_channels, …}",
    "dwconv": "conv#d: {groups: in_channels, …}",
    "maxpooling": "max_pool#d",
    "averagepool": "avg_pool#d",
    "averagepooling": "avg_pool#d",
    "avgpooling": "avg_pool#d",
    "gap": "adaptive_avg_pool#d: {output_size: 1}",
    "globalaveragepool": "adaptive_avg_pool#d: {output_size: 1}",
    "globalaveragepooling": "adaptive_avg_pool#d: {output_size: 1}",
    "globalavgpool": "adaptive_avg_pool#d: {output_size: 1}",
    "globalpool": "adaptive_avg_pool#d: {output_size: 1}",
    "gmp": "adaptive_max_pool#d: {output_size: 1}",
    "globalmaxpool": "adaptive_max_pool#d: {output_size: 1}",
    "globalmaxpooling": "adaptive_max_pool#d: {output_size: 1}",
    "batchnormalization": "batch_norm",
    "bn": "batch_norm",
    "syncbatchnorm": "batch_norm",
    "gn": "group_norm",
    "groupnormalization": "group_norm",
    "instancenormalization": "instance_norm",
    "layernormalization": "layer_norm",
    "ln": "layer_norm",
    "localresponsenormalization": "local_response_norm",
    "lrn": "local_response_norm",
    "globalresponsenorm": "global_response_norm",
    "grn": "global_response_norm",
    "hsigmoid": "hardsigmoid",
    "hswish": "hardswish",
    "logistic": "sigmoid",
    "lrelu": "leaky_relu",
    "swish": "silu",
    "spatialdropout": "dropout#d",
    "resize": "interpolate",
    "upsample": "interpolate",
    "upsampling": "interpolate",
    "upsamplingbilinear": "interpolate",
    "upsamplingnearest": "interpolate",
    "circularpad": "pad",
    "constantpad": "pad",
    "reflectionpad": "pad",
    "replicationpad": "pad",
    "zeropad": "pad",
    "zeropadding": "pad",
    "depthtospace": "pixel_shuffle",
    "spacetodepth": "pixel_unshuffle",
    "crop": "center_crop",
    "transpose": "permute",
    "cat": "concat",
    "concatenate": "concat",
    "reshapeas": "reshape",
    "eltwise": "add",
    "multiply": "mul",
    "subtract": "sub",
    "separableconv": "depthwise_separable",
    "bmm": "matmul",
    "dot": "matmul",
    "einsum": "matmul",
    "droppath": "stochastic_depth",
    "multihead": "multi_head_attention",
    "cropping": "slice",
    "narrow": "slice",
    "split": "slice",
    "chunk": "slice",
    "unbind": "select",
    "view": "reshape",
    "movedim": "permute",
    "swapaxes": "permute",
    "repeatvector": "expand",
    "unitnormalization": "normalize",
    "bidirectional": "lstm: {bidirectional: true, …}",
}


# Operations and layers of other frameworks that there is no kind for, in the form of `CALLED`, as far as they are spelt
# nearly like a kind that does something else.
WITHOUT_A_KIND = frozenset((
    "addr", "and", "arctanh", "argmax", "argmin", "asin", "atanh", "bilinear", "dim", "dstack", "dyrelu", "erfc",
    "exp2", "fmax", "fmin", "frelu", "geglu", "hardmish", "hstack", "log2", "long",
    "lu", "maxunpool", "median", "minpool", "ne", "new", "reglu", "renorm", "rrelu", "rsub", "size", "smm",
    "softmin", "sort", "stride", "svd", "swiglu", "tan", "vstack",
))  # fmt: skip
INSTEAD = (
    "`cnnprof kinds` lists what there is; what is not in it is declared as `opaque`, with its figures, or added as a "
    "kind by a plugin"
)
"""The hint for a word that no kind is called, and that is not a known one misspelt."""


class Plugin(NamedTuple):
    """A kind that installed packages offer under a word, not imported yet."""

    word: str
    offers: Mapping[str, EntryPoint]  # by package and version: "my-package 1.0"

    @property
    def package(self) -> str:
        """The package and its version; several where they are at odds."""
        return ", ".join(self.offers)

    def load(self) -> type[Kind]:
        """The class. Raises UsageError where it cannot be imported, or is no kind of this word."""
        if len(self.offers) > 1:
            packages = listing(list(self.offers))
            raise UsageError(f"several packages offer a kind `{self.word}`: {packages}; uninstall all but one")
        ((package, entry),) = self.offers.items()
        what = f"the kind `{self.word}` of the package `{package}`"
        try:
            kind = entry.load()
        except Exception as error:
            message = f"{what} cannot be imported from `{entry.value}`: {type(error).__name__}: {error}"
            raise UsageError(message) from error
        if not (isinstance(kind, type) and issubclass(kind, Kind)):
            raise UsageError(f"{what} is not a subclass of `cnnprof.model.kind.Kind`: `{entry.value}`")
        if kind.word != self.word:
            raise UsageError(f"{what} calls itself `{kind.word}`: its entry point and its class must give one word")
        return kind


@cache
def own(word: str) -> type[Kind] | None:
    """The kind of that word that comes with cnnprof, or None. Imports the file that it is in and no other."""
    if word not in CLASSES:
        return None
    module, name = CLASSES[word]
    kind: type[Kind] = getattr(import_module(f"cnnprof.kinds.{module}"), name)
    return kind


@cache
def kinds() -> dict[str, type[Kind]]:
    """The kinds that come with cnnprof by the word that specs write, file by file in the order of their classes."""
    return {word: kind for word in CLASSES if (kind := own(word))}


def plugins() -> Mapping[str, Plugin]:
    """The kinds that installed packages add to `kinds()`, by word. Imports none of them."""
    return _installed() if _plugins_wanted.get() else {}


def find(word: str) -> type[Kind] | None:
    """The kind of that word, or None. Raises UsageError for one of an installed package that is broken."""
    kind = own(word)
    if kind is None and word in plugins():
        kind = _load(word)
    return kind


def suggestion(word: str, known: Iterable[str], axes: int | None = None, own: Iterable[str] = ()) -> str:
    """A hint for a word that is no kind: the same word spelt otherwise, what it is called here, or one misspelt.

    known: kinds and blocks, of which one that is merely alike is another layer. own: names that the spec gives.
    axes: of the current tensor, for a word that leaves them open, such as `maxpool`; None: not known.
    """
    return _suggestion(word[:80], tuple(islice(known, COMPARED)), axes, tuple(islice(own, COMPARED)))


def called(word: str, known: Iterable[str], axes: int | None = None, own: Iterable[str] = ()) -> str:
    """The word of what PyTorch, Keras and others call so: `batch_norm` for `BatchNormalization`; empty where there is
    none."""
    base, number = _base(word, axes)
    spelt = {_plain(each): each for each in reversed((*own, *known))}
    plain = _plain(word)
    ours = spelt.get(plain) or spelt.get(f"{base}{number}d") or spelt.get(base) or CALLED.get(plain, CALLED.get(base))
    return (ours or "").replace("#", number)


def _base(word: str, axes: int | None) -> tuple[str, str]:
    """A word without its number of axes, and that number: of an image, where it says none and `axes` neither."""
    plain = _plain(word)
    if plain.endswith(("1d", "2d", "3d")):
        return plain[:-2], plain[-2]
    return plain, str(axes if axes in (1, 2, 3) else 2)


@lru_cache(maxsize=256)  # as `errors.nearest`, for the same reasons
def _suggestion(word: str, known: tuple[str, ...], axes: int | None, own: tuple[str, ...]) -> str:
    if ours := called(word, known, axes, own):
        return f"did you mean `{ours}`?"
    plain, base = _plain(word), _base(word, axes)[0]
    likely = list(own)
    if not WITHOUT_A_KIND & {plain, base}:
        likely += [each for each in known if _is_slip(plain, _plain(each)) or _is_slip(base, _plain(each))]
        likely += [each for each in known if _is_part(word, each)]
    hint = nearest(word, likely)
    return hint if hint.startswith("did you mean") else ""


def _is_part(word: str, known: str) -> bool:
    """Whether a word is the beginning or the end of a block's name, as `bottleneck` is of `bottleneck_residual`."""
    return len(word) > 5 and known not in kinds() and (known.startswith(f"{word}_") or known.endswith(f"_{word}"))


def _is_slip(word: str, known: str) -> bool:
    """Whether a word is another with one or two letters wrong, missing, in excess or exchanged, its digits aside."""
    digits = [[letter for letter in each if letter.isdigit()] for each in (word, known)]
    if all(digits) and digits[0] != digits[1]:
        return False  # conv4d is no conv2d
    return _distance(word, known) <= (1 if len(word) < 6 else 2)


def _distance(left: str, right: str) -> int:
    """Letters to replace, insert, take away, or exchange with the next one (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        row = [i]
        for j, other in enumerate(right, 1):
            best = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, above = above, row
    return above[-1]


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


@contextmanager
def without_plugins() -> Iterator[None]:
    """Inside it there are only the kinds that come with cnnprof: what `--no-plugins` asks for."""
    token = _plugins_wanted.set(False)
    try:
        yield
    finally:
        _plugins_wanted.reset(token)


def begin(plugins: bool) -> None:
    """Begins a process that knows the same kinds as the one that started it. plugins: whether that one has any."""
    if not plugins:
        _plugins_wanted.set(False)


@cache
def _installed() -> dict[str, Plugin]:
    from importlib.metadata import entry_points  # takes longer than a small analysis

    offers: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        if entry.name not in CLASSES:
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"
            offers.setdefault(entry.name, {})[package] = entry
    return {word: Plugin(word, offers[word]) for word in sorted(offers)}


@cache
def _load(word: str) -> type[Kind]:
    return _installed()[word].load()

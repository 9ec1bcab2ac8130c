"""Arbitrary and mutated specs: whatever is fed in, only a CnnprofError comes out, and its problems are located."""

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnprof.language.spec import HEADER
from cnnprof.lookup import architectures
from tests.fuzz.targets import survives
from tests.fuzz.words import WORDS


def fuzz(examples: int) -> Any:
    """The same examples in every run, as slow as they may be."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


WORD = st.sampled_from(WORDS)
NOISE = st.text(max_size=40) | st.integers() | st.floats() | st.booleans() | st.none()


@fuzz(500)
@given(
    text=st.text(max_size=300)
    | st.lists(WORD | st.sampled_from(list(":-[]{},\n #*&!|>'\"%@`?\t\r\0")), max_size=60).map(" ".join)
)
def test_text(text: str) -> None:
    survives(text)
    survives("cnnprof: 1\ninput: [3, 8, 8]\nlayers:\n- " + text)


@fuzz(300)
@given(data=st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    survives(data)
    survives(b"cnnprof: 1\ninput: [3, 8, 8]\nlayers: [" + data)


VALUE = st.recursive(
    WORD | NOISE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD | st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


@fuzz(400)
@given(data=st.dictionaries(st.sampled_from(HEADER), VALUE, max_size=9))
def test_nested_data(data: dict[str, Any]) -> None:
    survives(yaml.safe_dump(data, allow_unicode=True))
    survives(yaml.safe_dump({"cnnprof": 1, "input": [3, 8, 8], "layers": ["relu"], **data}))


# Specs whose structure is right more often than not, so that the walk gets far.
EXPRESSION = st.sampled_from([word for word in WORDS if word not in HEADER]) | st.integers(-2, 12)
FIELDS = st.dictionaries(
    st.sampled_from(["out_channels", "kernel_size", "padding", "stride", "a", "p", "size"]), EXPRESSION, max_size=3
)


def step(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    word = st.sampled_from(["add", "concat", "mul", "side", "relu", "conv2d", "flatten", "linear", "a", "b", "block"])
    modifiers = st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["a", "b", "3a", "x"]),
            "from": st.sampled_from(["a", "b", "3a", "x", "input"]),
            "repeat": EXPRESSION,
            "when": st.sampled_from(["training", "index == 0", "in_channels > 2", "true", "false", "a"]),
            "share": st.sampled_from(["a", "b", "3a", "x", "input"]),
        },
    )
    return word | st.builds(lambda word, body, modifiers: {word: body, **modifiers}, word, body, modifiers)


STEPS = st.lists(
    step(
        st.recursive(
            FIELDS | st.none() | st.lists(EXPRESSION, max_size=3),
            lambda body: st.dictionaries(st.sampled_from("abcx"), st.lists(step(body), max_size=3), max_size=3),
            max_leaves=6,
        )
    ),
    max_size=6,
)
ARGS = st.dictionaries(
    st.sampled_from("abc"), EXPRESSION | st.sampled_from(["required", "relu", "add", "block"]), max_size=3
)


@fuzz(600)
@given(layers=STEPS, inside=STEPS, args=ARGS, own=ARGS, training=st.booleans())
def test_structured_data(layers: Any, inside: Any, args: Any, own: Any, training: bool) -> None:
    blocks = {"block": {"args": own, "layers": inside}}
    data = {"cnnprof": 1, "input": [3, 8, 8], "args": args, "blocks": blocks, "layers": layers}
    survives(yaml.safe_dump(data), training=training)


SHIPPED = [path.read_text(encoding="utf-8") for path in architectures().values()]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A spec that comes with the tool, with lines deleted, doubled and swapped, and tokens replaced."""
    lines = draw(st.sampled_from(SHIPPED)).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        change = draw(st.sampled_from(["delete", "double", "swap", "indent", "replace", "replace", "replace"]))
        if change == "delete" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(to, lines[at])
        elif change == "swap":
            lines[at], lines[to] = lines[to], lines[at]
        elif change == "indent":
            lines[at] = " " * draw(st.integers(0, 6)) + lines[at].lstrip()
        elif change == "replace":
            tokens = lines[at].split(" ")
            tokens[draw(st.integers(0, len(tokens) - 1))] = draw(WORD | st.sampled_from([*"{}[],:-", "- relu", "a:1"]))
            lines[at] = " ".join(tokens)
    return "\n".join(lines)


@fuzz(600)
@given(text=mutated())
def test_mutations_of_shipped_specs(text: str) -> None:
    survives(text)


@pytest.mark.parametrize("text", SHIPPED)
def test_the_limits_let_the_shipped_specs_through(text: str) -> None:
    """Otherwise the mutations would prove nothing but a limit."""
    assert survives(text)

"""Source in lines as ruff's formatter has it; `test_pytorch` asks that itself about whole networks."""

from cnnprof.exporters.layout import Call, Repeated, call, lines


def test_a_call_that_fits_is_one_line() -> None:
    assert list(lines(call("f", "a", b="2"), 4, "x = ")) == ["    x = f(a, b=2)"]


def test_one_that_does_not_has_an_argument_per_line() -> None:
    inner = call("g", "b" * 30, c="d" * 30)
    made = list(lines(call("f", "a" * 30, inner, Repeated(call("h", "e" * 60), 3)), 4, "x = ", ":"))
    assert made == [
        "    x = f(",
        f"        {'a' * 30},",
        f"        g({'b' * 30}, c={'d' * 30}),",
        "        *(",
        f"            h({'e' * 60})",
        "            for _ in range(3)",
        "        ),",
        "    ):",
    ]


def test_brackets_of_all_sorts() -> None:
    items = (('"a": ', Call("[", (("", "1"), ("", "2")), "]")),)
    assert str(Call("{", items, "}")) == '{"a": [1, 2]}'

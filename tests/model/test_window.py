"""Where a sliding window can be: every formula against counting one by one."""

import random

import pytest

from cnnprof.model.window import (
    Taps,
    Window,
    extent,
    floor_sum,
    positions,
    same_padding,
    taps_inside,
    transposed_positions,
)

random.seed(20)
CASES = [
    (
        random.randint(1, 30),  # size
        random.randint(1, 6),  # kernel
        random.randint(1, 7),  # stride
        random.randint(0, 5),  # padding
        random.randint(1, 5),  # dilation
    )
    for _ in range(1500)
]


def taps(o: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """Input positions of window o's taps; negative ones are in the left padding."""
    return [o * stride - padding + tap * dilation for tap in range(kernel)]


def test_what_a_position_sees() -> None:
    """The first window starts `padding` before the input; taps are `apart`."""
    window = Window(extent=5, stride=3, padding=2, apart=2)
    assert [window.taps(position) for position in (0, 1, 4)] == [Taps(-2, 2, 2), Taps(1, 5, 2), Taps(10, 14, 2)]


@pytest.mark.parametrize(
    ("kernel", "dilation", "places"), [(1, 1, 1), (3, 1, 3), (3, 2, 5), (1, 9, 1), (2, 10**9, 10**9 + 1)]
)
def test_extent_goes_from_the_first_to_the_last_tap(kernel: int, dilation: int, places: int) -> None:
    assert extent(kernel, dilation) == places


def test_positions_are_the_windows_that_fit() -> None:
    """Without ceil_mode a window fits if all its taps are on the padded input."""
    for size, kernel, stride, padding, dilation in CASES:
        fitting = 0
        while taps(fitting, kernel, stride, padding, dilation)[-1] < size + padding:
            fitting += 1
        found = positions(size, kernel, stride, padding, dilation)
        assert max(0, found) == fitting, (size, kernel, stride, padding, dilation)


def test_positions_in_ceil_mode_start_inside() -> None:
    """A window more, if the one before left places over, and if it starts inside the input or left of it."""
    for size, kernel, stride, padding, dilation in CASES:
        count = positions(size, kernel, stride, padding, dilation)
        if count < 1:
            continue
        left_over = taps(count - 1, kernel, stride, padding, dilation)[-1] < size + padding - 1
        starts_inside = taps(count, kernel, stride, padding, dilation)[0] < size
        # In floor mode, a window may stand in the right padding alone; ceil mode leaves that one out.
        last_inside = taps(count - 1, kernel, stride, padding, dilation)[0] < size
        expected = count + (left_over and starts_inside) - (not left_over and not last_inside)
        found = positions(size, kernel, stride, padding, dilation, ceil_mode=True)
        assert found == expected, (size, kernel, stride, padding, dilation)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "floor", "ceil"),
    [
        (14, 3, 2, 0, 1, 6, 7),
        (3, 2, 2, 1, 1, 2, 2),
        (4, 2, 2, 1, 1, 3, 3),
        (6, 2, 3, 1, 1, 3, 3),
        (112, 3, 2, 1, 1, 56, 57),
        (12, 3, 2, 1, 2, 5, 6),
        (5, 1, 3, 0, 1, 2, 2),
        (5, 2, 3, 0, 1, 2, 2),
        (2, 3, 2, 0, 1, 0, 1),
        (1, 3, 2, 0, 1, 0, 0),
        (8, 9, 1, 0, 1, 0, 0),
        (10**9, 3, 2, 1, 1, 5 * 10**8, 5 * 10**8 + 1),
    ],
)
def test_positions_by_hand(
    size: int, kernel: int, stride: int, padding: int, dilation: int, floor: int, ceil: int
) -> None:
    assert positions(size, kernel, stride, padding, dilation) == floor
    assert positions(size, kernel, stride, padding, dilation, ceil_mode=True) == ceil


@pytest.mark.parametrize(
    ("kernel", "dilation", "sides"), [(1, 1, (0, 0)), (3, 1, (1, 1)), (4, 1, (1, 2)), (3, 2, (2, 2)), (4, 3, (4, 5))]
)
def test_same_padding_keeps_the_size_and_puts_the_odd_place_right(
    kernel: int, dilation: int, sides: tuple[int, int]
) -> None:
    assert same_padding(kernel, dilation) == sides
    assert positions(20 + sum(sides), kernel, 1, 0, dilation) == 20


def test_transposed_positions_undo_positions() -> None:
    """A transposed convolution gives back a size that the convolution would take to its input;
    output_padding chooses among those sizes."""
    for size, kernel, stride, padding, dilation in CASES:
        places = positions(size, kernel, stride, padding, dilation)
        if places < 1:
            continue
        left_over = (size + 2 * padding - extent(kernel, dilation)) % stride
        assert transposed_positions(places, kernel, stride, padding, left_over, dilation) == size


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding", "dilation", "out"),
    [(4, 2, 1, 0, 1, 32), (3, 2, 1, 0, 1, 31), (3, 2, 1, 1, 1, 32), (3, 2, 1, 1, 2, 34), (2, 2, 0, 0, 1, 32)],
)
def test_transposed_positions_by_hand(
    kernel: int, stride: int, padding: int, output_padding: int, dilation: int, out: int
) -> None:
    assert transposed_positions(16, kernel, stride, padding, output_padding, dilation) == out


def test_taps_inside_are_those_on_the_input() -> None:
    for size, kernel, stride, padding, dilation in CASES:
        for windows in (1, 3, max(1, positions(size, kernel, stride, padding, dilation, ceil_mode=True))):
            on_input = sum(
                0 <= place < size for o in range(windows) for place in taps(o, kernel, stride, padding, dilation)
            )
            found = taps_inside(size, kernel, stride, padding, dilation, windows)
            assert found == on_input, (size, kernel, stride, padding, dilation, windows)


def test_taps_inside_of_a_billion_places() -> None:
    size = 10**9
    assert taps_inside(size, 3, 1, 1, 1, windows=size) == 3 * size - 2
    assert taps_inside(size, 2, 1, 0, size - 1, windows=1) == 2
    assert taps_inside(size, size, 1, size - 1, 1, windows=2 * size - 1) == size * size
    # Every third place is the first tap of a window, every tap inside but the last window's second.
    assert taps_inside(size, 2, 3, 0, 2, windows=(size + 2) // 3) == 2 * ((size + 2) // 3) - 1


def test_floor_sum_adds_up() -> None:
    for _ in range(1500):
        n, divisor, slope, start = (random.randint(low, 50) for low in (0, 1, 0, 0))
        expected = sum((slope * i + start) // divisor for i in range(n))
        assert floor_sum(n, divisor, slope, start) == expected, (n, divisor, slope, start)


def test_floor_sum_of_a_billion_terms() -> None:
    n = 10**9
    assert floor_sum(n, 1, 1, 0) == n * (n - 1) // 2
    assert floor_sum(n, 2, 1, 0) == (n // 2) * (n // 2 - 1)
    # Reciprocity: Σ ⌊p·i/q⌋ for i < q is (p − 1)(q − 1)/2 where p and q are coprime.
    assert floor_sum(10**9 + 7, 10**9 + 7, 998244353, 0) == 998244352 * (10**9 + 6) // 2

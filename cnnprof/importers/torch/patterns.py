"""Several calls that are one layer: what PyTorch computes by more than one operator, and a kind says in a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from cnnprof.importers.batch import FRONT
from cnnprof.importers.torch.program import Call, Program, Ref


def joined(program: Program) -> Program:
    """The program with one call for each shuffle of channels, local response norm and normalisation of vectors."""
    return _Joining(program).program()


class _Joining:
    """The calls of a program, some of which become one."""

    def __init__(self, source: Program) -> None:
        self.source = source
        self.calls: list[Call | None] = list(source.calls)
        self.handed_out = {name for _, name in source.outputs}
        self.readers: dict[str, list[int]] = {}
        self.makers: dict[str, int] = {}
        for number, call in enumerate(source.calls):
            self.makers.update({name: number for name in call.outputs if name})
            for name in call.reads():
                self.readers.setdefault(name, []).append(number)

    def program(self) -> Program:
        """The program afterwards."""
        for number, call in enumerate(self.source.calls):
            if call.plain in _VIEWING:
                self.shuffle(number)
            elif call.plain == "pow":
                self.norm(number)
            elif call.plain == "conv2d":
                self.standardised(number)
            elif call.plain == "linalg_vector_norm":
                self.normalize(number)
        return replace(self.source, calls=tuple(call for call in self.calls if call is not None))

    def next_of(self, call: Call) -> int | None:
        """The only call that reads what another one makes; None where there are several, or it is an output."""
        name = call.outputs[0] if len(call.outputs) == 1 else None
        found = self.readers.get(name or "", [])
        return found[0] if len(found) == 1 and name not in self.handed_out else None

    def behind(self, number: int, most: int) -> list[int]:
        """A call and those before it, the first one first, each read by nothing but the next."""
        chain = [number]
        while len(chain) < most:
            maker = self.makers.get(next(self.source.calls[chain[0]].reads(), ""))
            if maker is None or self.next_of(self.source.calls[maker]) != chain[0]:
                break
            chain.insert(0, maker)
        return chain

    def replace(self, numbers: Sequence[int], operator: str, args: dict[str, Any]) -> None:
        """Puts a call in the place of the last of some."""
        last = self.source.calls[numbers[-1]]
        for number in numbers:
            self.calls[number] = None
        self.calls[numbers[-1]] = Call(operator, args, last.outputs, last.scope, last.call)

    def shuffle(self, number: int) -> None:
        """A view, a transposition and a view back, from a view on."""
        chain = [number]
        while len(chain) < 4 and (following := self.next_of(self.source.calls[chain[-1]])) is not None:
            if self.source.calls[following].plain not in (*_VIEWING, *_SWAPPING, "contiguous"):
                break
            chain.append(following)
        calls = [self.source.calls[each] for each in chain]
        groups = _shuffled(self.source, calls)
        if groups is not None:
            last = next(place for place, call in enumerate(calls) if place > 1 and call.plain in _VIEWING)
            self.replace(chain[: last + 1], "channel_shuffle", {"self": calls[0].args["self"], "groups": groups})

    def norm(self, number: int) -> None:
        """What torch.nn.functional.local_response_norm calls, before its power and with the division after it."""
        following = self.next_of(self.source.calls[number])
        for wanted in _NORMS if following is not None else ():
            numbers = self.behind(number, len(wanted))
            calls = [self.source.calls[each] for each in numbers]
            if tuple(call.operator for call in calls) == wanted:
                fields = _normalising(calls, self.source.calls[following or 0])
                if fields is not None:
                    self.replace([*numbers, following or 0], "local_response_norm", fields)

    def maker(self, reference: Any, *operators: str) -> Call | None:
        """The call that makes a tensor, where it is one of these operators."""
        number = self.makers.get(reference.name) if isinstance(reference, Ref) else None
        call = None if number is None else self.source.calls[number]
        return call if call is not None and call.plain in operators else None

    def standardised(self, number: int) -> None:
        """A convolution of weights that a batch norm of their own statistics has made."""
        own = self.source.calls[number]
        shaped = self.maker(own.args.get("weight"), *_VIEWING, "reshape_as")
        norm = None if shaped is None else self.maker(shaped.args["self"], "batch_norm")
        flat = None if norm is None else self.maker(norm.args["input"], *_VIEWING)
        if norm is None or flat is None or not norm.args.get("training") or norm.args.get("bias") is not None:
            return
        weight, gain, gamma = flat.args["self"], norm.args.get("weight"), 1.0
        if gain is not None:
            scaled = self.maker(gain, *_VIEWING)
            product = None if scaled is None else self.maker(scaled.args["self"], "mul")
            if product is None or not isinstance(product.args["other"], int | float):
                return
            gain, fan_in = product.args["self"], prod(self.source.shapes[weight.name][1:])
            gamma = product.args["other"] * fan_in**0.5
        given = {"weight": weight, "gain": gain, "gamma": gamma, "eps": norm.args["eps"]}
        if all(each.name in self.source.stored for each in (weight, gain) if isinstance(each, Ref)):
            self.calls[number] = own._replace(operator="std_conv2d", args={**own.args, **given})

    def normalize(self, number: int) -> None:
        """What torch.nn.functional.normalize calls, from the length of the vectors on."""
        chain = [number]
        while len(chain) < len(_LENGTHS) and (following := self.next_of(self.source.calls[chain[-1]])) is not None:
            chain.append(following)
        calls = [self.source.calls[each] for each in chain]
        if tuple(call.plain for call in calls) != _LENGTHS:
            return
        length, least, _, divide = (call.args for call in calls)
        (dim, *others), eps = length.get("dim") or [None], least["min"]
        of_itself = divide["self"] == length["self"] and divide["other"] == Ref(calls[2].outputs[0] or "")
        if of_itself and dim is not None and not others and length.get("keepdim") and isinstance(eps, int | float):
            self.replace(
                chain, "normalize", {"self": length["self"], "p": length.get("ord", 2), "dim": dim, "eps": eps}
            )


_LENGTHS = ("linalg_vector_norm", "clamp_min", "expand_as", "div")
"""The operators of torch.nn.functional.normalize."""
_NORMS = (
    ("mul", "unsqueeze", "pad", "avg_pool2d", "squeeze", "mul", "add", "pow"),
    ("mul", "view", "pad", "avg_pool3d", "squeeze", "view", "mul", "add", "pow"),
)
"""The operators of a local response norm, over one axis and over more."""


def _normalising(calls: Sequence[Call], divide: Call) -> dict[str, Any] | None:
    """The arguments of the local response norm that some calls are; None where they are none."""
    square, _, pad, pool, *_, scale, shift, power = calls
    read = square.args["self"]
    size, *rest = pool.args["kernel_size"]
    fields = {"alpha": scale.args.get("other"), "k": shift.args.get("other"), "beta": power.args.get("exponent")}
    if (
        divide.operator == "div"
        and divide.args["self"] == square.args["other"] == read
        and all(each == 1 for each in rest)
        and pad.args["pad"][-2:] == [size // 2, (size - 1) // 2]
        and all(isinstance(value, int | float) for value in fields.values())
    ):
        return {"self": read, "size": size, **fields}
    return None


_VIEWING = ("view", "reshape")
_SWAPPING = ("transpose", "permute", "swapaxes")


def _shuffled(program: Program, chain: Sequence[Call]) -> int | None:
    """The groups of a view, a transposition and a view back that shuffle channels; None where they do not."""
    calls = [call for call in chain if call.plain != "contiguous"]
    if len(calls) < 3 or calls[1].plain not in _SWAPPING or calls[2].plain not in _VIEWING:
        return None
    shapes = [program.shapes[name] for call in calls[:3] for name in call.outputs if name]
    reference = calls[0].args["self"]
    if not isinstance(reference, Ref):
        return None
    read = program.shapes[reference.name]
    if len(read) < 3 or program.batch.place(read) != FRONT or len(shapes) != 3:
        return None
    (batch, groups, inside, *rest), swapped, out = shapes if len(shapes[0]) > 3 else ((0, 0, 0), (), ())
    if (batch, groups * inside, *rest) != read or out != read or tuple(swapped) != (batch, inside, groups, *rest):
        return None
    order = calls[1].args.get("dims")
    expected = [0, 2, 1, *range(3, len(shapes[0]))]
    if calls[1].plain == "permute":
        return groups if [dim % len(shapes[0]) for dim in order or []] == expected else None
    names = ("dim0", "dim1") if calls[1].plain == "transpose" else ("axis0", "axis1")
    return groups if {calls[1].args[name] % len(shapes[0]) for name in names} == {1, 2} else None

"""Archives of torch.export as networks: what the module gives, without PyTorch, and what is refused."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnprof.errors import UsageError
from cnnprof.importers.common import Imported
from cnnprof.importers.torch import load as load_module
from cnnprof.importers.torch.archive import expression, load

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", minversion="2.6", reason="reading a module needs PyTorch 2.6")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Net(nn.Module):
    """Tied and shared weights, a scale, a number, an operator in place, windows, attention, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.gamma = nn.Parameter(torch.ones(8))
        self.fc = nn.Linear(8, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight, self.again.bias = self.fc.weight, self.fc.bias
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Any) -> Any:
        x = self.act(self.bn(self.conv(x)))
        x = self.act(self.conv.forward(x[:, :3])) * self.gamma[:, None, None] * torch.tensor(0.5)
        batch, channels, height, width = x.shape
        y = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1)
        y = self.fc(y.reshape(-1, 16, channels))
        y = F.scaled_dot_product_attention(y, y, y)
        return {"aux": self.again(self.drop(y)), "out": x.mean((2, 3))}


class Outer(nn.Module):
    def forward(self, x: Any) -> Any:
        return x["out"].relu()


def saved(folder: Path, module: nn.Module, batch: int = 2, open_batch: bool = False, open_sizes: bool = False) -> Path:
    sizes: dict[int, Any] = {0: torch.export.Dim("batch")} if open_batch else {}
    if open_sizes:
        sizes |= {2: torch.export.Dim("height", min=8, max=64) * 4}
    dynamic = {"dynamic_shapes": (sizes,)} if sizes else {}
    exported = torch.export.export(module.eval(), (torch.zeros(batch, 3, 32, 16),), strict=False, **dynamic)
    path = folder / "net.pt2"
    torch.export.save(exported, path)
    return path


def told(found: Imported) -> list[tuple[Any, ...]]:
    graph = found.graph
    return [
        (layer.path, layer.kind, layer.shape, layer.shares, *map(graph.tensor_name, layer.inputs))
        for layer in graph.layers
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("archive"), Net(), open_batch=True)


def refusal(path: Path, **inputs: tuple[int, ...]) -> str:
    with pytest.raises(UsageError) as caught:
        load(path, inputs)
    return str(caught.value).replace(str(path), "net.pt2")


def changed(path: Path, folder: Path, change: Any, name: str = "models/model.json") -> Path:
    """The archive with a file of JSON changed."""
    target = folder / "changed.pt2"
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w") as after:
        for info in before.infolist():
            content = before.read(info)
            if info.filename.endswith(name):
                value = json.loads(content)
                content = json.dumps(change(value) or value).encode()
            after.writestr(info.filename, content)
    return target


def test_an_archive_is_the_network_of_its_module(path: Path) -> None:
    module, archive = load_module(Net(), {"input": (3, 32, 16)}), load(path)
    assert told(archive) == told(module)
    assert archive.graph.outputs == module.graph.outputs
    assert (archive.params, archive.notes) == (module.params, module.notes)
    assert archive.shapes >= len(archive.graph.layers) - 2
    assert archive.opaque == ()
    assert archive.compared is not None
    assert module.compared is not None
    assert archive.compared == module.compared._replace(macs=None, modules=0)
    assert archive.graph.name == "net"


def test_it_has_the_names_of_classes(tmp_path: Path) -> None:
    exported = torch.export.export(nn.Sequential(Net(), Outer()).eval(), (torch.zeros(2, 3, 32, 16),), strict=False)
    torch.export.save(exported, tmp_path / "net.pt2")
    assert load(tmp_path / "net.pt2").classes == {"0": "Net", "1": "Outer"}


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_the_batch_that_it_was_exported_with_changes_nothing(batch: int, path: Path, tmp_path: Path) -> None:
    assert told(load(saved(tmp_path, Net(), batch))) == told(load(path))


def test_sizes_that_are_open_are_given(path: Path, tmp_path: Path) -> None:
    open_sizes = saved(tmp_path, Net(), open_batch=True, open_sizes=True)
    assert told(load(open_sizes, {"input": (3, 32, 16)})) == told(load(path))
    assert load(open_sizes, {"x": (3, 64, 16)}).graph.layers[0].shape == (8, 64, 16)
    assert refusal(open_sizes) == (
        "the input `x` of `net.pt2` is [3, ?, 16] for one example: give its shape, as in --input 3x224x224"
    )
    assert refusal(open_sizes, x=(4, 32, 16)) == (
        "the input `x` of `net.pt2` is [3, ?, 16] for one example, found [4, 32, 16]"
    )
    assert refusal(open_sizes, y=(3, 32, 16)) == "`net.pt2` has no input `y`; known: `x`"


def test_it_needs_no_pytorch(path: Path) -> None:
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['pickle'] = None\nfrom pathlib import Path\n"
        f"from cnnprof.importers.torch.archive import load\nprint(load(Path({str(path)!r})).params)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{sum(each.numel() for each in Net().parameters())}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("s0", 3),
        ("2*s0 + 1", 7),
        ("(s0 - 1)//2", 1),
        ("Symbol('s0', positive=True, integer=True)", 3),
        ("Mul(Integer(4), Symbol('s0', positive=True, integer=True))", 12),
        ("Add(Integer(-1), Pow(Symbol('s0'), Integer(2)))", 8),
        ("FloorDiv(Add(Symbol('s0'), Integer(4)), Integer(2))", 3),
        ("Max(Integer(1), Mod(Symbol('s0'), Integer(2)))", 1),
        ("floor(Rational(7, 2))", 3),
    ],
)
def test_expressions(text: str, value: int) -> None:
    assert expression(text, {"s0": 3}) == value


@pytest.mark.parametrize(
    "text",
    [
        "s1",
        "__import__('os')",
        "s0.real",
        "1/2",
        "2**10000",
        "f(s0)",
        "'a'",
        "1 if s0 else 2",
        "(",
        "+".join("1" * 2000),
    ],
)
def test_what_is_no_expression_of_sizes(text: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        expression(text, {"s0": 3})


# Damage.


def test_what_is_no_archive(path: Path, tmp_path: Path) -> None:
    net = tmp_path / "net.pt2"
    assert refusal(net) == "cannot read `net.pt2`: No such file or directory"
    net.write_bytes(b"")
    assert refusal(net) == "`net.pt2` is no archive of torch.export: File is not a zip file"
    net.write_bytes(path.read_bytes()[:2000])
    assert refusal(net) == "`net.pt2` is no archive of torch.export: File is not a zip file"
    with zipfile.ZipFile(net, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    assert refusal(net) == (
        "`net.pt2` is no archive of torch.export that is read here: it has 0 programs; save one program with "
        "torch.export.save of a newer PyTorch"
    )
    with zipfile.ZipFile(net, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    assert "it was written by a PyTorch older than 2.8" in refusal(net)
    with zipfile.ZipFile(net, "w") as archive:
        archive.writestr("a/models/model.json", "[" * 100_000)
    assert refusal(net).startswith("`net.pt2`: `a/models/model.json` is no JSON: ")
    with zipfile.ZipFile(net, "w") as archive:
        archive.writestr("a/models/model.json", "{}")
    assert refusal(net) == (
        "`net.pt2` is no archive of torch.export: it has no `a/data/weights/model_weights_config.json`"
    )


def test_damage_beside_the_program_is_said(path: Path, tmp_path: Path) -> None:
    """In the list of constants, in a constant, and in what is compressed."""
    begins = "`net.pt2` is no archive of torch.export"
    config = "constants/model_constants_config.json"

    def forget(value: Any) -> None:
        del next(iter(value["config"].values()))["use_pickle"]

    assert refusal(changed(path, tmp_path, forget, config)).endswith(": KeyError: 'use_pickle'")
    assert refusal(changed(path, tmp_path, lambda _: [1], config)).startswith(begins)
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(tmp_path / "short.pt2", "w") as write:
        for info in read.infolist():
            write.writestr(info.filename, b"" if "constants/tensor" in info.filename else read.read(info))
    assert "unpack requires a buffer of 4 bytes" in refusal(tmp_path / "short.pt2")
    net = tmp_path / "net.pt2"
    with zipfile.ZipFile(net, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/models/model.json", json.dumps([*range(1000)]))
    data = bytearray(net.read_bytes())
    data[60:80] = bytes([255] * 20)
    net.write_bytes(data)
    assert refusal(net).startswith(f"{begins}: Error -3 while decompressing data: ")
    with zipfile.ZipFile(net, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a/models/model.json", "{}")
    assert refusal(net) == f"{begins}: compression type 12"


def test_files_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    from cnnprof.importers.torch import archive

    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    assert refusal(path).endswith(" bytes, of which at most 1,000 are read")
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MOST_CALLS", 3)
    assert refusal(path) == "`net.pt2` has 22 calls of operators, of which at most 3 are read"


def test_operators_of_others_are_refused(path: Path, tmp_path: Path) -> None:
    def change(model: Any) -> None:
        (conv, *_) = [node for node in model["graph_module"]["graph"]["nodes"] if "conv2d" in node["target"]]
        conv["target"] = "torch.ops.torchvision.deform_conv2d.default"

    assert refusal(changed(path, tmp_path, change)).endswith(
        "the operator `torch.ops.torchvision.deform_conv2d.default` is not one of PyTorch's own, and its work is not "
        "known"
    )


def test_shapes_that_do_not_follow_are_refused(path: Path, tmp_path: Path) -> None:
    def change(model: Any) -> None:
        model["graph_module"]["graph"]["tensor_values"]["relu_"]["sizes"][1]["as_int"] = 9

    assert refusal(changed(path, tmp_path, change)).endswith(
        "the operator `relu_` in `act` makes [9, 32, 16] of one example in PyTorch, and [8, 32, 16] as it was read"
    )


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value of JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*path, key)
        yield from places(inside, (*path, key))


STRANGE: tuple[Any, ...] = (
    None,
    "",
    "x",
    -1,
    0,
    10**30,
    1.5,
    True,
    [],
    {},
    [[]],
    {"as_int": 0},
    {"as_tensor": {}},
    [1, 2],
)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_in_an_archive_gives_a_network_or_an_error(seed: int, path: Path, tmp_path: Path) -> None:
    draw = random.Random(seed)
    with zipfile.ZipFile(path) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("models/model.json")]
        model = json.loads(archive.read(name))
    everywhere = [place for place in places(model) if "stack_trace" not in place and "torch_fn" not in place]
    for _ in range(60):
        *above, last = draw.choice(everywhere)
        wrong = copy.deepcopy(model)
        target = wrong
        for key in above:
            target = target[key]
        target[last] = draw.choice(STRANGE)
        try:
            load(changed(path, tmp_path, lambda _, wrong=wrong: wrong))
        except UsageError as error:
            assert str(error)  # noqa: PT017


def test_frozen_layers_are_frozen(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(True), nn.Conv2d(8, 4, 1))
    module[0].requires_grad_(False)
    graph = load(saved(tmp_path, module)).graph
    assert [layer.frozen for layer in graph.layers] == [True, False, False, False]
    assert [layer.overwrites is not None for layer in graph.layers] == [False, False, True, False]

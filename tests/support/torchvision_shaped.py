"""Graphs as an importer makes them of torchvision's networks: a layer per module, flat, under torchvision's names."""

from __future__ import annotations

from typing import Any

from cnnprof.language.registry import kinds
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph


class Network:
    """A graph in the making: modules are called with a tensor, and functions by a name beside them."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.image = self.builder.input("input", (3, 224, 224))

    def layer(self, path: str, word: str, *read: int, **fields: Any) -> int:
        """A layer of a kind; gives its output."""
        return self.builder.add(path, kinds()[word](**fields), read)

    def conv_norm(self, names: tuple[str, str], read: int, **fields: Any) -> int:
        """A convolution without bias, and the norm after it."""
        return self.layer(names[1], "batch_norm", self.layer(names[0], "conv2d", read, bias=False, **fields))

    def graph(self, name: str, end: int) -> Graph:
        self.builder.output("out", end)
        return self.builder.graph(name, same_in_training=True)


def resnet50() -> Graph:
    """torchvision.models.resnet50."""
    net = Network()
    end = net.conv_norm(("conv1", "bn1"), net.image, out_channels=64, kernel_size=7, stride=2, padding=3)
    end = net.layer("maxpool", "max_pool2d", net.layer("relu", "relu", end), kernel_size=3, stride=2, padding=1)
    for stage, (repeats, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], 1):
        for number in range(repeats):
            at, entry = f"layer{stage}.{number}", end
            stride = 2 if stage > 1 and number == 0 else 1
            end = net.conv_norm((f"{at}.conv1", f"{at}.bn1"), entry, out_channels=width, kernel_size=1)
            end = net.layer(f"{at}.relu", "relu", end)
            end = net.conv_norm(
                (f"{at}.conv2", f"{at}.bn2"), end, out_channels=width, kernel_size=3, stride=stride, padding=1
            )
            end = net.layer(f"{at}.relu_1", "relu", end)
            end = net.conv_norm((f"{at}.conv3", f"{at}.bn3"), end, out_channels=4 * width, kernel_size=1)
            if number == 0:
                names = (f"{at}.downsample.0", f"{at}.downsample.1")
                entry = net.conv_norm(names, entry, out_channels=4 * width, kernel_size=1, stride=stride)
            end = net.layer(f"{at}.relu_2", "relu", net.layer(f"{at}.add", "add", end, entry))
    end = net.layer("flatten", "flatten", net.layer("avgpool", "adaptive_avg_pool2d", end, output_size=1))
    return net.graph("resnet50", net.layer("fc", "linear", end, out_features=1000))


def mobilenet_v2() -> Graph:
    """torchvision.models.mobilenet_v2."""
    net = Network()

    def unit(at: str, read: int, **fields: Any) -> int:
        end = net.conv_norm((f"{at}.0", f"{at}.1"), read, padding=fields["kernel_size"] // 2, **fields)
        return net.layer(f"{at}.2", "relu6", end)

    end, channels, number = unit("features.0", net.image, out_channels=32, kernel_size=3, stride=2), 32, 1
    for expand, out, repeats, first in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for repeat in range(repeats):
            at, entry, hidden, place = f"features.{number}", end, expand * channels, 0
            stride = first if repeat == 0 else 1
            if expand != 1:
                end = unit(f"{at}.conv.0", end, out_channels=hidden, kernel_size=1)
                place = 1
            end = unit(f"{at}.conv.{place}", end, out_channels=hidden, kernel_size=3, stride=stride, groups=hidden)
            names = (f"{at}.conv.{place + 1}", f"{at}.conv.{place + 2}")
            end = net.conv_norm(names, end, out_channels=out, kernel_size=1)
            if stride == 1 and channels == out:
                end = net.layer(f"{at}.add", "add", entry, end)
            channels, number = out, number + 1
    end = unit("features.18", end, out_channels=1280, kernel_size=1)
    end = net.layer("flatten", "flatten", net.layer("adaptive_avg_pool2d", "adaptive_avg_pool2d", end, output_size=1))
    end = net.layer("classifier.0", "dropout", end, p=0.2)
    return net.graph("mobilenet_v2", net.layer("classifier.1", "linear", end, out_features=1000))


def densenet121() -> Graph:
    """torchvision.models.densenet121."""
    net = Network()
    names = ("features.conv0", "features.norm0")
    end = net.conv_norm(names, net.image, out_channels=64, kernel_size=7, stride=2, padding=3)
    end = net.layer("features.relu0", "relu", end)
    end = net.layer("features.pool0", "max_pool2d", end, kernel_size=3, stride=2, padding=1)
    for block, repeats in enumerate([6, 12, 24, 16], 1):
        outs = [end]
        for number in range(1, repeats + 1):
            at = f"features.denseblock{block}.denselayer{number}"
            joined = net.layer(f"{at}.cat", "concat", *outs) if len(outs) > 1 else outs[0]
            for place, (channels, kernel) in enumerate([(128, 1), (32, 3)], 1):
                joined = net.layer(f"{at}.relu{place}", "relu", net.layer(f"{at}.norm{place}", "batch_norm", joined))
                joined = net.layer(
                    f"{at}.conv{place}", "conv2d", joined,
                    out_channels=channels, kernel_size=kernel, padding=kernel // 2, bias=False,
                )  # fmt: skip
            outs.append(joined)
        end = net.layer(f"features.denseblock{block}.cat", "concat", *outs)
        if block < 4:
            at = f"features.transition{block}"
            end = net.layer(f"{at}.relu", "relu", net.layer(f"{at}.norm", "batch_norm", end))
            channels = net.builder.shapes[end][0] // 2
            end = net.layer(f"{at}.conv", "conv2d", end, out_channels=channels, kernel_size=1, bias=False)
            end = net.layer(f"{at}.pool", "avg_pool2d", end, kernel_size=2)
    end = net.layer("relu", "relu", net.layer("features.norm5", "batch_norm", end))
    end = net.layer("flatten", "flatten", net.layer("adaptive_avg_pool2d", "adaptive_avg_pool2d", end, output_size=1))
    return net.graph("densenet121", net.layer("classifier", "linear", end, out_features=1000))

"""What TensorFlow's converter makes of small networks, and what TensorFlow Lite Micro allocates for them.

    pip install tensorflow-cpu==2.21.0 tflite-micro
    python -m tests.benchmarks.tflite tests/golden/tflm/converter.json
    python -m tests.benchmarks.tflite --int16 tests/golden/tflm/converter16.json

Neither package is one of the development environment: they take a gigabyte, and their answers are kept.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy
import tensorflow
from tensorflow import keras

layers = keras.layers
ABOUT = (
    "What TensorFlow's converter made of small Keras networks (tensorflow-cpu {tensorflow}, {quantised}, "
    "batch 1) and what TensorFlow Lite Micro's interpreter allocates for the files (tflite-micro {micro}, x86-64, "
    "reference kernels, recording allocator). Written by `python -m tests.benchmarks.tflite`. An operator: what it "
    "reads -> what it writes; {dtype} unless another type is said; `head` and `tail` are null where the interpreter "
    "has no kernel."
)
OPERATORS = {
    "int8": tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tensorflow.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}
UNDELEGATED = tensorflow.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
"""Nothing is delegated, so that operators are those of the file."""
ALLOCATE = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=8_000_000).print_allocations()
"""


def norm():
    return layers.BatchNormalization()


def conv(image, channels=8, kernel=3, stride=1, padding="same", **more):
    return layers.Conv2D(channels, kernel, strides=stride, padding=padding, **more)(image)


AROUND = [[0, 0], [1, 1], [1, 1], [0, 0]]


def function(of, image):
    return layers.Lambda(of)(image)


# The shape of an example with its channels last, and the network.
NETWORKS = {
    "conv1d_bn_relu": ((32, 4), lambda i: layers.ReLU()(norm()(layers.Conv1D(8, 3, padding="same")(i)))),
    "conv1d_twice": (
        (32, 4),
        lambda i: layers.ReLU()(
            norm()(layers.Conv1D(8, 3, padding="same")(layers.ReLU()(norm()(layers.Conv1D(8, 3, padding="same")(i)))))
        ),
    ),
    "pad1_stride2": ((16, 16, 4), lambda i: conv(layers.ZeroPadding2D(1)(i), stride=2, padding="valid")),
    "pad1_stride2_odd": ((17, 17, 4), lambda i: conv(layers.ZeroPadding2D(1)(i), stride=2, padding="valid")),
    "pad1_stride1": ((16, 16, 4), lambda i: conv(layers.ZeroPadding2D(1)(i), padding="valid")),
    "pad_two_readers": (
        (16, 16, 4),
        lambda i: (lambda z: layers.Add()([conv(z, stride=2, padding="valid"), conv(z, stride=2, padding="valid")]))(
            layers.ZeroPadding2D(((0, 1), (0, 1)))(i)
        ),
    ),
    "pad_maxpool": (
        (16, 16, 4),
        lambda i: layers.MaxPooling2D(3, 2, padding="valid")(layers.ZeroPadding2D(((0, 1), (0, 1)))(conv(i))),
    ),
    "bn_alone": ((16, 16, 4), lambda i: norm()(layers.MaxPooling2D(2)(i))),
    "bn_relu_alone": ((16, 16, 4), lambda i: layers.ReLU()(norm()(layers.MaxPooling2D(2)(i)))),
    "bn_concat_conv": ((16, 16, 4), lambda i: conv(layers.ReLU()(norm()(layers.Concatenate()([i, conv(i)]))))),
    "bn_two_readers": ((16, 16, 4), lambda i: (lambda z: layers.Add()([z, norm()(z)]))(conv(i))),
    "relu_two_readers": ((16, 16, 4), lambda i: (lambda z: layers.Add()([z, layers.ReLU()(z)]))(conv(i))),
    "gap_sigmoid": ((16, 16, 4), lambda i: layers.Activation("sigmoid")(layers.GlobalAveragePooling2D()(conv(i)))),
    "avgpool_flatten_tanh": (
        (8, 8, 4),
        lambda i: layers.Activation("tanh")(layers.Flatten()(layers.AveragePooling2D(8)(conv(i)))),
    ),
    "gap_keep_flatten_dense": (
        (8, 8, 4),
        lambda i: layers.Dense(3)(layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(conv(i)))),
    ),
    "sum3": ((8, 8, 4), lambda i: layers.Add()([conv(i, 4), conv(i, 4), i])),
    "sum3_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.Add()([conv(i, 4), conv(i, 4), i]))),
    "swish": ((8, 8, 4), lambda i: layers.Activation("swish")(conv(i))),
    "hardswish": ((8, 8, 4), lambda i: layers.Activation("hard_swish")(conv(i))),
    "hardsigmoid": ((8, 8, 4), lambda i: layers.Activation("hard_sigmoid")(conv(i))),
    "gelu": ((8, 8, 4), lambda i: layers.Activation("gelu")(conv(i))),
    "elu": ((8, 8, 4), lambda i: layers.Activation("elu")(conv(i))),
    "leaky": ((8, 8, 4), lambda i: layers.LeakyReLU(negative_slope=0.1)(conv(i))),
    "prelu": ((8, 8, 4), lambda i: layers.PReLU(shared_axes=[1, 2])(conv(i))),
    "softplus": ((8, 8, 4), lambda i: layers.Activation("softplus")(conv(i))),
    "up_nearest": ((8, 8, 4), lambda i: layers.UpSampling2D(2)(conv(i))),
    "up_bilinear": ((8, 8, 4), lambda i: layers.UpSampling2D(2, interpolation="bilinear")(conv(i))),
    "convT_same": ((8, 8, 4), lambda i: layers.Conv2DTranspose(6, 4, strides=2, padding="same")(i)),
    "convT_bn_relu": (
        (8, 8, 4),
        lambda i: layers.ReLU()(norm()(layers.Conv2DTranspose(6, 4, strides=2, padding="same")(i))),
    ),
    "convT_valid": ((8, 8, 4), lambda i: layers.Conv2DTranspose(6, 2, strides=2, padding="valid")(i)),
    "convT_crop": (
        (8, 8, 4),
        lambda i: layers.Cropping2D(1)(layers.Conv2DTranspose(6, 3, strides=2, padding="valid")(i)),
    ),
    "grouped": ((8, 8, 8), lambda i: conv(i, 16, groups=4)),
    "dilated": ((16, 16, 8), lambda i: conv(i, 16, dilation_rate=2)),
    "dilated_dw": ((16, 16, 8), lambda i: layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(i)),
    "maxpool_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.MaxPooling2D(2)(conv(i)))),
    "avgpool_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.AveragePooling2D(2)(conv(i)))),
    "concat_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.Concatenate()([conv(i), conv(i)]))),
    "mul_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.Multiply()([conv(i), conv(i)]))),
    "sub_relu": ((8, 8, 4), lambda i: layers.ReLU()(layers.Subtract()([conv(i), conv(i)]))),
    "relu_input": ((8, 8, 4), lambda i: conv(layers.ReLU()(i))),
    "permute": ((8, 8, 4), lambda i: layers.Permute((2, 1, 3))(conv(i))),
    "reshape": ((8, 8, 4), lambda i: layers.Softmax()(layers.Reshape((64, 8))(conv(i)))),
    "gmp": ((8, 8, 4), lambda i: layers.Dense(4)(layers.GlobalMaxPooling2D()(conv(i)))),
    "dw_mult2": ((8, 8, 4), lambda i: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(i)),
    "dw_in1": ((8, 8, 1), lambda i: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=4)(i)),
    "avg_same": ((9, 9, 4), lambda i: layers.AveragePooling2D(3, 2, padding="same")(conv(i))),
    "crop": ((9, 9, 4), lambda i: layers.Cropping2D(1)(conv(i))),
    "layernorm": ((8, 16), lambda i: layers.LayerNormalization()(layers.Dense(16)(i))),
    "dense_seq": ((8, 16), lambda i: layers.Dense(12, activation="relu")(i)),
    "gap1d": (
        (32, 4),
        lambda i: layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3, activation="relu")(i))),
    ),
    "maxpool1d": ((32, 4), lambda i: layers.MaxPooling1D(2)(layers.Conv1D(8, 3, activation="relu")(i))),
    "convT_bias_out": (
        (8, 8, 4),
        lambda i: layers.Activation("sigmoid")(layers.Conv2DTranspose(1, 2, strides=2)(conv(i))),
    ),
    "relu_after_relu6": ((8, 8, 4), lambda i: layers.ReLU(6.0)(layers.ReLU()(conv(i)))),
    "conv_bn_nobias_linear": ((16,), lambda i: norm()(layers.Dense(8)(i))),
    "dense_relu_bn": ((16,), lambda i: layers.Dense(4)(norm()(layers.ReLU()(layers.Dense(8)(i))))),
    "conv_relu_bn_conv": ((8, 8, 4), lambda i: conv(norm()(layers.ReLU()(conv(i))))),
    "d2s": ((8, 8, 16), lambda i: layers.Lambda(lambda x: tensorflow.nn.depth_to_space(x, 2))(conv(i, 16))),
    "flatten_1x1_out": ((8, 8, 4), lambda i: layers.Flatten()(layers.AveragePooling2D(8)(conv(i)))),
    "bn_flatten_dense": ((8, 8, 4), lambda i: layers.Dense(4)(layers.Flatten()(norm()(layers.ReLU()(conv(i)))))),
    "pool_flatten_bn_dense": (
        (8, 8, 4),
        lambda i: layers.Dense(4)(norm()(layers.Flatten()(layers.MaxPooling2D(2)(conv(i))))),
    ),
    "relu_bn_dw": ((8, 8, 4), lambda i: layers.DepthwiseConv2D(3, padding="same")(norm()(layers.ReLU()(conv(i))))),
    "gapk_flatten_sigmoid": (
        (8, 8, 4),
        lambda i: layers.Activation("sigmoid")(layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(conv(i)))),
    ),
    "gapk_flatten_out": ((8, 8, 4), lambda i: layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(conv(i)))),
    "res1d": (
        (32, 8),
        lambda i: (lambda z: layers.ReLU()(layers.Add()([z, layers.Conv1D(8, 3, padding="same")(z)])))(
            layers.Conv1D(8, 3, padding="same", activation="relu")(i)
        ),
    ),
    "avgpool1d": (
        (32, 8),
        lambda i: layers.Dense(3)(
            layers.Flatten()(layers.AveragePooling1D(2)(layers.Conv1D(8, 3, padding="same", activation="relu")(i)))
        ),
    ),
    "maxpool1d_flatten_dense": (
        (32, 8),
        lambda i: layers.Dense(3)(
            layers.Flatten()(layers.MaxPooling1D(2)(layers.Conv1D(8, 3, padding="same", activation="relu")(i)))
        ),
    ),
    "conv1d_stride2": (
        (32, 8),
        lambda i: layers.Conv1D(8, 3, strides=2, padding="same", activation="relu")(
            layers.Conv1D(8, 3, strides=2, padding="same", activation="relu")(i)
        ),
    ),
    "flatten_relu_dense": ((8, 8, 4), lambda i: layers.Dense(4)(layers.ReLU()(layers.Flatten()(conv(i))))),
    "flatten_tanh_dense": ((8, 8, 4), lambda i: layers.Dense(4)(layers.Activation("tanh")(layers.Flatten()(conv(i))))),
    "conv_dropout_bn_relu": ((8, 8, 4), lambda i: layers.ReLU()(norm()(layers.Dropout(0.2)(conv(i))))),
    "conv_tanh_bn_conv": ((8, 8, 4), lambda i: conv(norm()(layers.Activation("tanh")(conv(i))))),
    "dense_tanh_bn_dense": ((16,), lambda i: layers.Dense(4)(norm()(layers.Activation("tanh")(layers.Dense(8)(i))))),
    "bn_input_dense": ((16,), lambda i: layers.Dense(4)(norm()(i))),
    "bn_input_conv": ((8, 8, 4), lambda i: conv(norm()(i))),
    "softmax4d": ((8, 8, 4), lambda i: layers.Softmax()(conv(i))),
    "pad_conv_and_pool": (
        (16, 16, 4),
        lambda i: (lambda z: layers.Concatenate()([conv(z, stride=2, padding="valid"), layers.MaxPooling2D(3, 2)(z)]))(
            layers.ZeroPadding2D(((0, 1), (0, 1)))(conv(i))
        ),
    ),
    "shuffle": (
        (8, 8, 8),
        lambda i: layers.Reshape((8, 8, 8))(layers.Permute((1, 2, 4, 3))(layers.Reshape((8, 8, 2, 4))(conv(i)))),
    ),
    "hardsigmoid_pool": ((8, 8, 4), lambda i: layers.Activation("hard_sigmoid")(layers.MaxPooling2D(2)(conv(i)))),
    "se_hard": (
        (8, 8, 4),
        lambda i: (
            lambda z: layers.Multiply()(
                [
                    z,
                    layers.Activation("hard_sigmoid")(
                        conv(layers.ReLU()(conv(layers.GlobalAveragePooling2D(keepdims=True)(z), 2, 1)), 8, 1)
                    ),
                ]
            )
        )(conv(i)),
    ),
    "logsoftmax": ((16,), lambda i: layers.Activation("log_softmax")(layers.Dense(8)(i))),
    "dense_sigmoid": ((16,), lambda i: layers.Dense(1, activation="sigmoid")(layers.Dense(8, activation="relu")(i))),
    "add_relu6": ((8, 8, 4), lambda i: layers.ReLU(6.0)(layers.Add()([conv(i, 4), i]))),
    "concat3": ((8, 8, 4), lambda i: layers.Concatenate()([conv(i), conv(i), i])),
    "concat_pool": (
        (8, 8, 4),
        lambda i: layers.MaxPooling2D(2)(layers.Concatenate()([layers.ReLU()(conv(i)), layers.ReLU()(conv(i))])),
    ),
    "two_outputs": ((8, 8, 4), lambda i: (lambda z: [conv(z), layers.GlobalAveragePooling2D()(z)])(conv(i))),
    "unet": (
        (16, 16, 4),
        lambda i: (
            lambda a: conv(
                layers.Concatenate()([a, layers.Conv2DTranspose(8, 2, strides=2)(conv(layers.MaxPooling2D(2)(a), 16))]),
                4,
            )
        )(conv(i, activation="relu")),
    ),
    "inception": (
        (16, 16, 8),
        lambda i: layers.Concatenate()(
            [
                conv(i, 8, 1, activation="relu"),
                conv(conv(i, 8, 1, activation="relu"), 16, activation="relu"),
                conv(layers.MaxPooling2D(3, 1, padding="same")(i), 4, 1, activation="relu"),
            ]
        ),
    ),
    "preact": (
        (8, 8, 8),
        lambda i: (lambda z: layers.Add()([z, conv(layers.ReLU()(norm()(conv(layers.ReLU()(norm()(z)), 8))), 8)]))(
            conv(i, 8)
        ),
    ),
    "conv_k1_s2": ((9, 9, 8), lambda i: conv(i, 8, 1, 2)),
    "valid_k3_s2_even": ((8, 8, 4), lambda i: conv(i, stride=2, padding="valid")),
    "dw_pad_s2": (
        (16, 16, 8),
        lambda i: layers.ReLU(6.0)(
            norm()(
                layers.DepthwiseConv2D(3, strides=2, padding="valid")(layers.ZeroPadding2D(((0, 1), (0, 1)))(conv(i)))
            )
        ),
    ),
    "maxpool_same_odd": ((9, 9, 4), lambda i: layers.MaxPooling2D(2, 2, padding="same")(conv(i))),
    # Where an operator takes the most, so that scratch would show.
    "padv2": (
        (16, 16, 8),
        lambda i: function(lambda x: tensorflow.pad(x, AROUND, constant_values=-1.0), conv(i, 8, 1)),
    ),
    "mirror": ((16, 16, 8), lambda i: function(lambda x: tensorflow.pad(x, AROUND, mode="REFLECT"), conv(i, 8, 1))),
    "nearest": ((8, 8, 8), lambda i: function(lambda x: tensorflow.image.resize(x, (16, 16), method="nearest"), i)),
    "reducemax": ((4, 4, 64), lambda i: layers.GlobalMaxPooling2D()(i)),
    "maximum": ((16, 16, 8), lambda i: layers.Maximum()([i, function(tensorflow.tanh, i)])),
    "minimum": ((16, 16, 8), lambda i: layers.Minimum()([i, function(tensorflow.tanh, i)])),
    "s2d": ((16, 16, 8), lambda i: function(lambda x: tensorflow.nn.space_to_depth(x, 2), i)),
    "split": ((16, 16, 8), lambda i: layers.Concatenate()(function(lambda x: tensorflow.split(x, 2, -1), i))),
    "dequant": ((16, 16, 8), lambda i: function(tensorflow.nn.elu, i)),
    "l2": ((16, 16, 8), lambda i: function(lambda x: tensorflow.nn.l2_normalize(x, -1), i)),
}


def bn_relu(image):
    return layers.ReLU()(norm()(image))


def ds_cnn(image):
    """MLPerf Tiny's keyword spotting."""
    image = layers.Dropout(0.2)(bn_relu(conv(image, 64, (10, 4), 2)))
    for _ in range(4):
        image = bn_relu(conv(bn_relu(layers.DepthwiseConv2D(3, padding="same")(image)), 64, 1))
    image = layers.Flatten()(layers.AveragePooling2D((25, 5))(layers.Dropout(0.4)(image)))
    return layers.Softmax()(layers.Dense(12)(image))


def resnet8(image):
    """MLPerf Tiny's image classification."""
    image = bn_relu(conv(image, 16))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        body = norm()(conv(bn_relu(conv(image, channels, 3, stride)), channels))
        image = layers.ReLU()(layers.Add()([image if stride == 1 else conv(image, channels, 1, stride), body]))
    return layers.Softmax()(layers.Dense(10)(layers.Flatten()(layers.AveragePooling2D(8)(image))))


def mobilenet_v1(image):
    """MLPerf Tiny's visual wake words: a width of 0.25."""
    image = bn_relu(conv(image, 8, 3, 2))
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for channels, stride in zip((16, 32, 32, 64, 64, *[128] * 6, 256, 256), strides, strict=True):
        image = bn_relu(conv(bn_relu(layers.DepthwiseConv2D(3, strides=stride, padding="same")(image)), channels, 1))
    return layers.Softmax()(layers.Dense(2)(layers.Flatten()(layers.AveragePooling2D(3)(image))))


def autoencoder(image):
    """MLPerf Tiny's anomaly detection."""
    for features in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        image = bn_relu(layers.Dense(features)(image))
    return layers.Dense(640)(image)


WHOLE = {
    "autoencoder_ad": ((640,), autoencoder),
    "ds_cnn_kws": ((49, 10, 1), ds_cnn),
    "mobilenet_v1_025_96_vww": ((96, 96, 3), mobilenet_v1),
    "resnet8_ic": ((32, 32, 3), resnet8),
}
"""Networks whose int8 files are in tests/golden/tflm."""
REDUCED = {
    "mean": ((4, 4, 64), lambda i: layers.GlobalAveragePooling2D()(i)),
    "sum": ((4, 4, 64), lambda i: function(lambda x: tensorflow.reduce_sum(x, [1, 2]), i)),
}
"""Where scratch would show that depends on the type."""
ALL = {"int8": NETWORKS, "int16": {**NETWORKS, **WHOLE, **REDUCED}}


def model_of(shape, network) -> keras.Model:
    """A network with weights that are neither all zero nor alike: the converter leaves out biases that are."""
    image = keras.Input(shape, batch_size=1)
    model = keras.Model(image, network(image))
    random = numpy.random.RandomState(1)
    drawn = [random.randn(*weight.shape) for weight in model.get_weights()]
    model.set_weights([numpy.abs(each) * 0.3 + 0.1 if each.ndim == 1 else each * 0.3 for each in drawn])
    return model


def converted(model: keras.Model, shape, dtype: str) -> bytes:
    """The integer file of a model: int8, or int16 activations with int8 weights."""

    def examples() -> Iterator[list[numpy.ndarray]]:
        random = numpy.random.RandomState(0)
        for _ in range(20):
            yield [random.rand(1, *shape).astype("float32") * 2 - 1]

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [OPERATORS[dtype]]
    converter.inference_input_type = converter.inference_output_type = getattr(tensorflow, dtype)
    return converter.convert()


def operators(file: bytes, dtype: str) -> list[str]:
    """The operators of a file, a line each."""
    interpreter = tensorflow.lite.Interpreter(model_content=file, experimental_op_resolver_type=UNDELEGATED)
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}

    def shown(number: int) -> str:
        name = tensors[number]["dtype"].__name__
        return "x".join(str(int(size)) for size in tensors[number]["shape"]) + ("" if name == dtype else f":{name}")

    return [
        f"{each['op_name']} {', '.join(shown(number) for number in each['inputs'] if number in tensors)} -> "
        f"{', '.join(map(shown, each['outputs']))}"
        for each in interpreter._get_ops_details()
    ]


def allocated(file: bytes) -> tuple[int | None, int | None]:
    """(head, tail) of the arena that the interpreter allocates for a file; None where it has no kernel."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.tflite")
        path.write_bytes(file)
        done = subprocess.run([sys.executable, "-c", ALLOCATE, path], capture_output=True, text=True, check=False)
    found = [re.search(rf"{name} (\d+)", done.stdout + done.stderr) for name in ("head", "tail")]
    return tuple(match and int(match[1]) for match in found)


def measured(name: str, dtype: str) -> dict[str, object]:
    """What the packages say of one network; the converter's refusal where it makes no file of that type."""
    shape, network = ALL[dtype][name]
    try:
        file = converted(model_of(shape, network), shape, dtype)
    except Exception as error:
        if dtype == "int8":
            raise
        return {"refused": str(error).strip().splitlines()[0]}
    head, tail = allocated(file)
    whole = {"file_bytes": len(file)} if name in WHOLE else {}
    return {"operators": operators(file, dtype), "head": head, "tail": tail, **whole}


def main(path: str, dtype: str) -> None:
    """Writes what the packages say."""
    nets = {}
    for name in sorted(ALL[dtype]):
        nets[name] = measured(name, dtype)
        print(name, nets[name].get("head"), nets[name].get("tail"), flush=True)
    quantised = {"int8": "full integer quantisation", "int16": "int16 activations, int8 weights"}[dtype]
    about = ABOUT.format(
        tensorflow=version("tensorflow-cpu"), micro=version("tflite-micro"), quantised=quantised, dtype=dtype
    )
    Path(path).write_text(json.dumps({"about": about, "nets": nets}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[-1], "int16" if "--int16" in sys.argv[1:] else "int8")

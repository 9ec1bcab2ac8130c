"""Rows of a sweep ↔ the bytes of a Parquet file. The only place that knows pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnprof.errors import MissingDependencyError, UsageError, listing
from cnnprof.sweeps.axes import SweepAxis
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.lanes.columns import Column, columns_of

GROUP = 2**17
"""Rows that are compressed together, and kept until then."""
KEY = "cnnprof"
"""What a file's metadata has the summary of its part under."""


def require() -> None:
    """Raises MissingDependencyError where pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise MissingDependencyError("a store needs the package pyarrow: pip install 'cnnprof[store]'")


class Rows(NamedTuple):
    """Some rows: their numbers in the space, an array of each metric that they have, the structure of each, what of
    them is estimated, and how many layers have figures that the spec declares."""

    numbers: Any
    figures: Mapping[str, Any]
    structure: int
    estimates: str
    declared: int


class Writer:
    """Makes the file of a part, in memory. Columns: `combination`, each axis, each metric, `structure`, `estimates` and
    `declared_layers`."""

    def __init__(self, job: Job, names: tuple[str, ...]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.job = job
        self.names = names
        self.space = job.space
        self.axes = [_Axis(axis) for axis in job.axes]
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [("combination", pa.int64())]
        fields += [(axis.name, each.type) for axis, each in zip(job.axes, self.axes, strict=True)]
        fields += [(name, pa.int64()) for name in names]
        fields += [("structure", pa.int32()), ("estimates", text), ("declared_layers", pa.int32())]
        self.schema = pa.schema(fields)
        self.sink = pa.BufferOutputStream()
        self.writer = parquet.ParquetWriter(self.sink, self.schema, compression="zstd")
        self.waiting: list[Any] = []
        self.rows = 0

    def add(self, rows: Rows) -> None:
        """Takes rows in. Raises UsageError for a figure of more than 63 bits."""
        import pyarrow as pa

        count = len(rows.numbers)
        columns = [pa.array(rows.numbers)]
        for each, stride, size in zip(self.axes, self.space.strides, self.space.sizes, strict=True):
            columns.append(each.at(rows.numbers // stride % size))
        for name in self.names:
            columns.append(self._figures(name, rows))
        columns.append(pa.array(np.full(count, rows.structure, np.int32)))
        columns.append(pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([rows.estimates])))
        columns.append(pa.array(np.full(count, rows.declared, np.int32)))
        self.waiting.append(pa.record_batch(columns, schema=self.schema))
        self.rows += count
        if self.rows >= GROUP:
            self._write()

    def close(self, summary: Mapping[str, Any]) -> bytes:
        """The file, with what is to be known of the part in addition."""
        if self.waiting:
            self._write()
        self.writer.add_key_value_metadata({KEY: json.dumps(summary)})
        self.writer.close()
        return self.sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    def _write(self) -> None:
        import pyarrow as pa

        self.writer.write_table(pa.Table.from_batches(self.waiting, self.schema).unify_dictionaries())
        self.waiting, self.rows = [], 0

    def _figures(self, name: str, rows: Rows) -> Any:
        import pyarrow as pa

        values = rows.figures.get(name)
        if values is None:
            return pa.nulls(len(rows.numbers), pa.int64())
        try:
            return pa.array(values, pa.int64())
        except (OverflowError, pa.ArrowInvalid):
            most = max(values)
            raise UsageError(
                f"a store holds figures below 2^63, and {name} is up to {most:,}: limit it with --max, or leave it out "
                "with --columns"
            ) from None


class _Axis:
    """The values on an axis: numbers, or else texts as written."""

    def __init__(self, axis: SweepAxis) -> None:
        import pyarrow as pa

        self.values = axis.values
        columns = columns_of(axis).columns if axis.kind in ("argument", "batch") else None
        self.column: Column | None = columns[0] if columns else None
        self.texts = None
        if self.column is None:
            self.type = pa.dictionary(pa.int32(), pa.string())
            self.texts = pa.array(list(axis.values), pa.string()) if isinstance(axis.values, tuple) else None
        else:
            self.type = pa.from_numpy_dtype(self.column.at(np.zeros(1, np.int64)).dtype)

    def at(self, positions: Any) -> Any:
        """The values at positions."""
        import pyarrow as pa

        if self.column is not None:
            return pa.array(self.column.at(positions), self.type)
        if self.texts is not None:
            return pa.DictionaryArray.from_arrays(pa.array(positions.astype(np.int32)), self.texts)
        texts = pa.array([self.values[int(position)] for position in positions], pa.string())
        return texts.dictionary_encode()


class Read(NamedTuple):
    """The rows of a stored part, a group of them at a time."""

    numbers: Any
    figures: dict[str, Any]
    structures: Any


def summary(path: Path) -> dict[str, Any]:
    """What is to be known of a part in addition to its rows. Raises ValueError and OSError where it is none."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        found = (file.metadata.metadata or {}).get(KEY.encode())
    if found is None:
        raise ValueError("no summary")
    return json.loads(found)  # type: ignore[no-any-return]


def read(path: Path, names: tuple[str, ...]) -> Iterator[Read]:
    """The rows of a part. Raises ValueError and OSError where it cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        wanted = ["combination", *names, "structure"]
        if missing := set(wanted) - set(file.schema_arrow.names):
            raise ValueError(f"no {listing(sorted(missing))}")
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=wanted)
            figures = {}
            for name in names:
                column = table[name]
                if column.null_count == 0:
                    figures[name] = column.to_numpy()
                else:
                    figures[name] = np.array(column.to_pylist(), object)
            numbers = table["combination"].to_numpy()
            yield Read(numbers, figures, table["structure"].to_numpy())
            del table
            pa.default_memory_pool().release_unused()

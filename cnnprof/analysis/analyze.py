"""Network → Costs → Report: the one way from a graph to its figures, which every command takes."""

from __future__ import annotations

from cnnprof.analysis.costs import Costs, count, scale_of
from cnnprof.analysis.memory import peaks
from cnnprof.analysis.report import Order, Report, tabulate
from cnnprof.errors import UsageError
from cnnprof.load import Network
from cnnprof.model.types import AS_COMPUTED


def costs_of(
    network: Network, batch: int = 1, dtype: str = "float32", optimizer: str = "sgd", master_weights: bool = False
) -> Costs:
    """The costs of a network, its values stored as it says. Raises as `count`."""
    costs = count(network.graph, batch, dtype, optimizer, master_weights)
    if network.types == AS_COMPUTED:
        return costs
    from cnnprof.analysis.quantize import as_stored

    return as_stored(network.graph, costs, network.types)


def analyze(
    network: Network,
    batch: int = 1,
    dtype: str = "float32",
    optimizer: str = "sgd",
    master_weights: bool = False,
    order: Order = "written",
) -> Report:
    """The report on a network. Options as `cnnprof.analyze` takes them; raises as it does."""
    if order not in ("written", "best"):
        raise UsageError(f"order is `written` or `best`, found `{order}`")
    graph = network.graph
    written_peak, refused = None, {}
    if order == "best":
        from cnnprof.analysis.order import TooManyStates, best_order, reordered

        scale, sizes = scale_of(batch, dtype), None
        if network.types != AS_COMPUTED:
            from cnnprof.analysis.quantize import storage_sizes, store

            sizes = storage_sizes(graph, store(graph, batch, dtype, network.types))
        try:
            best = reordered(graph, best_order(graph, scale, sizes=sizes))
        except TooManyStates as error:
            refused["best_order"] = f"{error}, so the order is the one written"
        else:
            written_peak, graph = peaks(graph, scale, sizes=sizes)[0].bytes, best
    costs = costs_of(network._replace(graph=graph), batch, dtype, optimizer, master_weights)
    return tabulate(
        graph,
        costs,
        written_peak,
        refused,
        source=network.source,
        budget=network.budget,
        unused=network.unused,
        imported=network.imported,
        with_=network.with_,
        types=network.types,
        notes=network.notes,
    )

"""The network in PyTorch. Importing anything here needs PyTorch, which analysis never does."""

from cnnprof.errors import MissingDependencyError

try:
    import torch as _torch  # noqa: F401  # the check itself
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    message = "this needs PyTorch, which is not installed; install it with: pip install 'cnnprof[torch]'"
    raise MissingDependencyError(message) from None

"""Eigenvalues of the loss's curvature at a network's parameters."""

from dataclasses import dataclass

import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.curvature import Curvature, Matrix
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.parameter_budget import count_parameters

#: Most parameters for which all eigenvalues are found, from the dense matrix.
DENSE_LIMIT = 3000


@dataclass(frozen=True)
class CurvatureSpectrum:
    """Eigenvalues of the Hessian or the generalised Gauss–Newton matrix of the training loss.

    Attributes:
        eigenvalues: [k], of largest magnitude first.
        loss: [] at the same parameters, on the same sequences.
        parameters: P, the number of trained parameters: the order of the matrix.
        products: number of products with the matrix that it took.
    """

    eigenvalues: Tensor
    loss: Tensor
    parameters: int
    products: int


@torch.inference_mode(False)
def hessian_spectrum(
    network: Network,
    task: Task,
    batch: Batch,
    *,
    count: int | None = 20,
    matrix: Matrix = "hessian",
    dtype: torch.dtype = torch.float64,
    chunk: int = 128,
    kept: int = 256,
    tolerance: float = 1e-6,
    restarts: int = 100,
) -> CurvatureSpectrum:
    """Return the leading eigenvalues by magnitude, or all of them (Dubinin & Effenberger 2024, Fig. 2C, 5C, B.3).

    Leading ones are found by the implicitly restarted Lanczos method (ARPACK) from products (``Curvature``), all of
    them, or most, from the dense matrix. The matrix is with respect to the parameters that require a gradient.

    Args:
        network: is copied, and stays as it is; the copy is in evaluation mode.
        task: gives the loss and the steps that it scores.
        batch: the sequences, on the network's device.
        count: k, at most the number of parameters; None for all.
        matrix: ``hessian``, or ``ggn`` for JᵀH_L J.
        dtype: of the products; in ``torch.float32`` eigenvalues below 1e-6 of the largest are noise.
        chunk: largest number of sequences run at a time.
        kept: number of sequences whose graphs are kept from product to product (about 10 MB each for 784 steps of
            100 units in double precision); more take longer and no more memory.
        tolerance: an eigenvalue is found when its residual is below this, relative to it; its own error is smaller.
        restarts: most restarts of Lanczos, of about k products each.

    Raises:
        ValueError: an argument is impossible, or there are more than 3,000 parameters for all eigenvalues.
        FloatingPointError: the loss or a product is not finite, or the loss is a root of 0.
        ArithmeticError: not all eigenvalues were found within the restarts; says how many were.

    A readout alone, y = w h + b on fixed h, under the mean of (y - target)²: the Hessian is 2 E[(h, 1)(h, 1)ᵀ].

    >>> from rnnbench.datamodules.task import Metric
    >>> from rnnbench.lit_models.recurrences.elman import ElmanRNN
    >>> network = Network(ElmanRNN(1, 1, time_activation="identity").requires_grad_(False), 1, "last")
    >>> for weight in network.recurrence.parameters():
    ...     _ = weight.fill_(1.0 if weight.dim() == 2 else 0.0)
    >>> task = Task("sum", 1, 1, 2, "last", "mse", (Metric("mse", "min", 1.0, 0.0),))
    >>> batch = Batch(torch.tensor([[[1.0], [1.0]], [[-1.0], [-1.0]]]), torch.zeros(2, 1), None)
    >>> hessian_spectrum(network, task, batch, count=None).eigenvalues.tolist()
    [8.0, 2.0]
    """
    check_number("tolerance", tolerance, low=0)
    check_at_least(1, restarts=restarts)
    size = count_parameters(network)
    if count is None and size > DENSE_LIMIT:
        raise ValueError(f"count must be a number for more than {DENSE_LIMIT} parameters, got None for {size}")
    if count is not None:
        check_at_least(1, count=count)
        check_number("count", count, high=size)
    curvature = Curvature(network, task, batch, matrix, dtype, chunk, kept)
    # Lanczos works in a space of 2k + 1 vectors: no smaller than the whole, it saves nothing.
    if count is None or 2 * count + 1 >= size:
        eigenvalues = torch.linalg.eigvalsh(curvature.dense())
    else:
        eigenvalues = _lanczos(curvature, count, dtype, tolerance, restarts).to(batch.inputs.device)
    leading = eigenvalues[eigenvalues.abs().argsort(descending=True)][:count]
    return CurvatureSpectrum(leading, curvature.loss, size, curvature.products)


def _lanczos(curvature: Curvature, count: int, dtype: torch.dtype, tolerance: float, restarts: int) -> Tensor:
    """Return the eigenvalues [count] of largest magnitude, in no order."""
    drawn = torch.randn(curvature.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = drawn.to(dtype).numpy()
    operator = LinearOperator(
        (curvature.size,) * 2, lambda vector: curvature.multiply(torch.tensor(vector)).cpu().numpy(), dtype=start.dtype
    )
    options = {"ncv": 2 * count + 1, "v0": start, "tol": tolerance, "maxiter": restarts}
    try:
        found = eigsh(operator, k=count, return_eigenvectors=False, **options)
    except ArpackNoConvergence as error:
        raise ArithmeticError(
            f"{len(error.eigenvalues)} of {count} eigenvalues converged in {restarts} restarts to a tolerance of "
            f"{tolerance}: ask for fewer, a larger tolerance or more restarts"
        ) from error
    return torch.from_numpy(found)

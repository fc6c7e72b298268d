"""Products of a loss's Hessian or generalised Gauss–Newton matrix with vectors, the matrix never built."""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.batch_loss import BatchLoss
from rnnbench.lit_models.network import Network

Matrix: TypeAlias = Literal["hessian", "ggn"]


class Curvature:
    """Second derivatives of a network's training loss on fixed sequences with respect to its trained parameters θ [P].

    ``hessian`` is ∂²L/∂θ². ``ggn`` is JᵀH_L J, with J the Jacobian of the outputs and H_L the loss's Hessian with
    respect to them (Schraudolph 2002): positive semi-definite, and the Hessian itself where outputs are linear in θ.

    Products are reverse over reverse: the graph of the gradient is built once and kept, and a product is one backward
    pass through it (forward over reverse takes longer, ``torch.func.linearize`` minutes of tracing). A kept graph of
    128 sequences of 784 steps, of 11,310 parameters, holds 1.2 GB; sequences beyond ``kept`` are run again for every
    product.

    Sums over sequences add up exactly. For a loss √m, with m a mean over all of them, the matrix of m, A, gives
    A / (2√m) - g gᵀ / (4 m^{3/2}) with the gradient g of m: for the Hessian by the chain rule, and for Gauss–Newton
    because Jᵀ maps the gradient with respect to the outputs to g.

    Arguments are as in ``hessian_spectrum``; ``size`` is P, and ``products`` counts those taken so far.

    Raises:
        ValueError: an argument is not allowed, or no parameter requires a gradient.
        FloatingPointError: the loss or its gradient is not finite, or a loss ``rmse`` is 0, where it has no curvature.
    """

    @torch.enable_grad()
    def __init__(
        self,
        network: Network,
        task: Task,
        batch: Batch,
        matrix: Matrix = "hessian",
        dtype: torch.dtype = torch.float64,
        chunk: int = 128,
        kept: int = 256,
    ) -> None:
        check_choice("matrix", matrix, get_args(Matrix))
        check_at_least(0, kept=kept)
        self._sum = BatchLoss(network, task, batch, dtype, chunk)
        self._matrix = matrix
        self.size = self._sum.parameters.numel()
        self.products = 0
        self._kept: list[_Chunk] = []
        self._rerun: list[Batch] = []
        gradient = torch.zeros_like(self._sum.parameters)
        total, left = gradient.new_zeros(()), kept
        self._count: int | Tensor = 0
        for sequences in self._sum.chunks:
            part = _Chunk(self._sum, sequences, matrix)
            total += part.total
            gradient += part.gradient
            self._count += part.count
            left -= len(sequences.inputs)
            if left >= 0:
                self._kept.append(part)
            else:
                self._rerun.append(sequences)
            # Otherwise the next chunk's graph would be built beside this one.
            del part
        self._gradient = gradient / self._count
        mean = total / self._count
        self._root = mean.sqrt() if task.loss == "rmse" else None
        self.loss = mean if self._root is None else self._root
        if not (self.loss.isfinite() and self._gradient.isfinite().all()):
            raise FloatingPointError(f"the loss is {self.loss.item()} and its gradient is not finite everywhere")
        if self._root is not None and self._root == 0:
            raise FloatingPointError("the loss is the root of a mean square of 0: it has no curvature there")

    @torch.enable_grad()
    def multiply(self, vectors: Tensor) -> Tensor:
        """Return the matrix times a vector [P], or each of [V, P]; FloatingPointError if the product is not finite."""
        vectors = vectors.to(self._sum.parameters)
        product = torch.zeros_like(vectors)
        for part in self._kept:
            product += part.multiply(vectors)
        for sequences in self._rerun:
            product += _Chunk(self._sum, sequences, self._matrix).multiply(vectors)
        product /= self._count
        if self._root is not None:
            along = (vectors @ self._gradient).unsqueeze(-1) * self._gradient
            product = product / (2 * self._root) - along / (4 * self._root**3)
        self.products += 1 if vectors.dim() == 1 else len(vectors)
        if not product.isfinite().all():
            raise FloatingPointError(f"a product with the {self._matrix} of {self.size} parameters is not finite")
        return product

    def dense(self) -> Tensor:
        """Return the matrix [P, P], by products with the basis vectors in blocks."""
        basis = torch.eye(self.size, dtype=self._sum.parameters.dtype, device=self._sum.parameters.device)
        matrix = torch.cat([self.multiply(vectors) for vectors in basis.split(64)])
        return (matrix + matrix.t()) / 2


class _Chunk:
    """The graph of the sum over some sequences, and products with its matrix."""

    def __init__(self, loss: BatchLoss, sequences: Batch, matrix: Matrix) -> None:
        self.matrix = matrix
        self.parameters = loss.parameters.clone().requires_grad_()
        self.outputs = loss.outputs(self.parameters, sequences)
        if matrix == "hessian":
            total, self.count = loss.total(self.outputs, sequences)
            (self.slope,) = torch.autograd.grad(total, self.parameters, create_graph=True)
            self.gradient = self.slope.detach()
        else:
            self.readouts = self.outputs.detach().requires_grad_()
            total, self.count = loss.total(self.readouts, sequences)
            (self.slope,) = torch.autograd.grad(total, self.readouts, create_graph=True)
            # A vector-Jacobian product is linear in its vector: differentiated by it, it is a Jacobian-vector product.
            self.probe = torch.zeros_like(self.outputs, requires_grad=True)
            (self.vjp,) = torch.autograd.grad(self.outputs, self.parameters, self.probe, create_graph=True)
            self.gradient = _vjp(self.outputs, self.parameters, self.slope.detach())
        self.total = total.detach()

    def multiply(self, vectors: Tensor) -> Tensor:
        if self.matrix == "hessian":
            return _vjp(self.slope, self.parameters, vectors)
        tangents = _vjp(self.vjp, self.probe, vectors)
        return _vjp(self.outputs, self.parameters, _vjp(self.slope, self.readouts, tangents))


def _vjp(results: Tensor, inputs: Tensor, vectors: Tensor) -> Tensor:
    """Return vectors [*results] or [V, *results] times the Jacobian of the results; the graph stays."""
    batched = vectors.dim() > results.dim()
    return torch.autograd.grad(results, inputs, vectors, retain_graph=True, is_grads_batched=batched)[0]

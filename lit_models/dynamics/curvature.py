"""Products of a loss's Hessian or generalised Gauss–Newton matrix with vectors, the matrix never built."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.dynamics.batch_loss import BatchLoss
from rnnbench.lit_models.network import Network

Matrix = Literal["hessian", "ggn"]


class Curvature:
    """Second derivatives of a network's training loss on fixed sequences with respect to its trained parameters θ [P].

    ``hessian`` is ∂²L/∂θ². ``ggn`` is JᵀH_L J, with J the Jacobian of the outputs and H_L the loss's Hessian with
    respect to them (Schraudolph 2002): positive semi-definite, and the Hessian itself where outputs are linear in θ.

    Products are reverse over reverse: the graph of the gradient is built once and kept, and a product is one walk back
    through it. (784 steps, 128 sequences, 11,310 parameters, float64, one core: 0.8 s a product, where forward over
    reverse takes 1.4 s; ``torch.func.linearize`` takes 0.6 s after more than a minute of tracing.) A kept graph of 128
    such sequences holds 1.2 GB; sequences beyond ``kept`` are walked anew for every product.

    Sums over sequences add up exactly. For a loss √m, with m a mean over all of them, the matrix of m, A, gives
    A / (2√m) - g gᵀ / (4 m^{3/2}) with the gradient g of m: for the Hessian by the chain rule, and for Gauss–Newton
    because Jᵀ maps the gradient with respect to the outputs to g.

    Args:
        network: is copied, and stays as it is.
        task: gives the loss.
        batch: the sequences, on the network's device.
        matrix: ``hessian`` or ``ggn``.
        dtype: of the computation.
        chunk: largest number of sequences walked at a time.
        kept: number of sequences (up to a whole chunk) whose graphs are kept from product to product.

    Attributes:
        loss: [].
        size: P.
        products: number of products taken so far.

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
        """Walk all sequences once."""
        if matrix not in ("hessian", "ggn"):
            raise ValueError(f"matrix is {matrix!r}: 'hessian' or 'ggn' is allowed")
        if kept < 0:
            raise ValueError(f"kept is {kept}: 0 or more is allowed")
        self._sum = BatchLoss(network, task, batch, dtype, chunk)
        self._matrix = matrix
        self.size = self._sum.parameters.numel()
        self.products = 0
        self._kept: list[_Chunk] = []
        self._renewed: list[Batch] = []
        gradient = torch.zeros_like(self._sum.parameters)
        total, self._count, left = gradient.new_zeros(()), 0, kept
        for sequences in self._sum.chunks:
            walked = _Chunk(self._sum, sequences, matrix)
            total += walked.total
            gradient += walked.gradient
            self._count += walked.count
            left -= len(sequences.inputs)
            if left >= 0:
                self._kept.append(walked)
            else:
                self._renewed.append(sequences)
            # Or the next chunk's graph would be built beside this one.
            del walked
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
        """Return the matrix times a vector [P], or times each of the vectors [V, P].

        Raises:
            FloatingPointError: the product is not finite.
        """
        vectors = vectors.to(self._sum.parameters)
        product = torch.zeros_like(vectors)
        for walked in self._kept:
            product += walked.multiply(vectors)
        for sequences in self._renewed:
            product += _Chunk(self._sum, sequences, self._matrix).multiply(vectors)
        product /= self._count
        if self._root is not None:
            along = (vectors @ self._gradient).unsqueeze(-1) * self._gradient
            product = product / (2 * self._root) - along / (4 * self._root**3)
        self.products += 1 if vectors.dim() == 1 else len(vectors)
        if not product.isfinite().all():
            raise FloatingPointError(f"a product with the {self._matrix} of {self.size} parameters is not finite")
        return product

    def dense(self, block: int = 64) -> Tensor:
        """Return the matrix [P, P], by products with the basis vectors in blocks."""
        basis = torch.eye(self.size, dtype=self._sum.parameters.dtype, device=self._sum.parameters.device)
        matrix = torch.cat([self.multiply(vectors) for vectors in basis.split(block)])
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
            (self.pulled,) = torch.autograd.grad(self.outputs, self.parameters, self.probe, create_graph=True)
            self.gradient = _pull(self.outputs, self.parameters, self.slope.detach())
        self.total = total.detach()

    def multiply(self, vectors: Tensor) -> Tensor:
        if self.matrix == "hessian":
            return _pull(self.slope, self.parameters, vectors)
        tangents = _pull(self.pulled, self.probe, vectors)
        return _pull(self.outputs, self.parameters, _pull(self.slope, self.readouts, tangents))


def _pull(results: Tensor, inputs: Tensor, vectors: Tensor) -> Tensor:
    """Return vectors [*results] or [V, *results] times the Jacobian of the results; the graph stays."""
    batched = vectors.dim() > results.dim()
    return torch.autograd.grad(results, inputs, vectors, retain_graph=True, is_grads_batched=batched)[0]

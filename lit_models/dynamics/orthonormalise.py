"""QR of many sets of tangent vectors, safe where vectors depend on each other or are zero."""

import math

import torch
from torch import Tensor

#: How far a Gram matrix may be from the identity after one pass for a second one to finish the work.
LOST_ORTHOGONALITY = 0.1


def orthonormalise(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormalise vectors in their order, and measure them: the QR factorisation with a positive diagonal of R.

    A vector of which no more is left than rounding errors (10 √S times the machine's precision of its own length)
    counts as dependent on those before it: its factor is zero, and so is its direction from then on, for any other
    would be arbitrary, and would take its share from the vectors that come after it.

    On a CPU that is Householder's method until there is such a vector. On a GPU, where it goes from matrix to matrix,
    and beside zero vectors it is Cholesky's factorisation of the Gram matrix, twice: as accurate until vectors are
    dependent to about 1e-7 in double precision. What is left over goes to Gram and Schmidt's method, also twice.

    Of vectors [K, B, S], K ≤ S in each of B sets, it returns orthonormal or zero vectors [K, B, S]; the logarithms of
    R's diagonal [B, K], -inf for dependent vectors; and those of the vectors' lengths [B, K] before. A set with a value
    that is not finite gives NaN.

    >>> directions, factors, lengths = orthonormalise(torch.tensor([[[3.0, 0, 0]], [[5.0, 2, 0]], [[1.0, 1, 0]]]))
    >>> directions[:, 0].abs().tolist(), factors.exp()[0].round(decimals=3).tolist()
    ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [3.0, 2.0, 0.0])
    """
    scale = vectors.abs().amax(-1).t()
    finite = scale.isfinite().all(1, keepdim=True)
    zero = (scale == 0) | ~finite
    # Divided by their largest entry, vectors have squares that neither overflow nor vanish.
    rows = (vectors.transpose(0, 1) / scale.masked_fill(zero, 1.0).unsqueeze(-1)).masked_fill(zero.unsqueeze(-1), 0.0)
    lengths = torch.linalg.vector_norm(rows, dim=-1)
    if rows.device.type == "cpu" and not zero.any():
        directions, factors, done = _householder(rows, lengths)
    else:
        directions, factors, done = _cholesky_twice(rows, zero)
    if not done.all():
        failed = (~done).nonzero().squeeze(1)
        again, found = _gram_schmidt_twice(rows[failed], lengths[failed])
        directions, factors = directions.index_copy(0, failed, again), factors.index_copy(0, failed, found)
    log_scale = scale.masked_fill(zero, 1.0).log()
    log_factors = (log_scale + factors.log()).masked_fill(~finite, torch.nan)
    log_lengths = (log_scale + lengths.log()).masked_fill(~finite, torch.nan)
    directions = directions.masked_fill(~finite.unsqueeze(-1), torch.nan)
    return directions.transpose(0, 1).contiguous(), log_factors, log_lengths


def _householder(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return directions of rows [B, K, S], factors [B, K], and which sets [B] have no dependent row."""
    directions, triangle = torch.linalg.qr(rows.mT)
    signed = triangle.diagonal(dim1=-2, dim2=-1)
    factors = signed.abs()
    return directions.mT * signed.sign().unsqueeze(-1), factors, (factors > _negligible(rows) * lengths).all(1)


def _cholesky_twice(rows: Tensor, zero: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return directions of rows [B, K, S], factors [B, K], and which sets [B] came out right; ``zero`` [B, K] rows."""
    first, factors, failures, _ = _cholesky(rows, zero)
    second, corrections, more_failures, distance = _cholesky(first, zero)
    # A first factor that is far from exact shows in the rows that it leaves: they are not orthogonal.
    done = (failures == 0) & (more_failures == 0) & (distance < LOST_ORTHOGONALITY)
    return second, (factors * corrections).masked_fill(zero, 0.0), done


def _cholesky(rows: Tensor, zero: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return directions, factors, failures [B], and how far the rows were from being orthonormal [B]."""
    # A one stands in for the square of a zero row, which keeps it out of the way of the others.
    gram = rows @ rows.mT + torch.diag_embed(zero.to(rows.dtype))
    distance = (gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)).abs().amax((-2, -1))
    triangle, failures = torch.linalg.cholesky_ex(gram)
    directions = torch.linalg.solve_triangular(triangle, rows, upper=False)
    return directions, triangle.diagonal(dim1=-2, dim2=-1), failures, distance


def _gram_schmidt_twice(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return directions of rows [B, K, S] and factors [B, K], zero where a row depends on those before it."""
    directions, factors = torch.zeros_like(rows), torch.zeros_like(lengths)
    for k in range(rows.shape[1]):
        rest, before = rows[:, k : k + 1], directions[:, :k]
        for _ in range(2):
            rest = rest - (rest @ before.mT) @ before
        left = torch.linalg.vector_norm(rest, dim=-1)
        left = torch.where(left > _negligible(rows) * lengths[:, k : k + 1], left, 0.0)
        factors[:, k] = left[:, 0]
        directions[:, k] = torch.where(left > 0, rest[:, 0] / left, 0.0)
    return directions, factors


def _negligible(rows: Tensor) -> float:
    """Return the share of a vector's length that may be rounding errors."""
    return 10 * math.sqrt(rows.shape[-1]) * torch.finfo(rows.dtype).eps

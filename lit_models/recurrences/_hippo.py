"""HiPPO-LegS: the matrix that remembers a history by Legendre polynomials, as normal plus low rank."""

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]


def hippo_legs(state_dim: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return A [N, N] and B [N] of HiPPO-LegS (Gu et al. 2020, Theorem 2; Gu et al. 2022, eq. 2).

    A_nk is -√((2n+1)(2k+1)) for n > k, -(n+1) for n = k and 0 above; B_n = √(2n+1).

    >>> hippo_legs(2)[0].round(3).tolist()
    [[-1.0, -0.0], [-1.732, -2.0]]
    """
    n = np.arange(state_dim)
    roots = np.sqrt(2 * n + 1.0)
    return -(np.tril(np.outer(roots, roots), -1) + np.diag(n + 1.0)), roots


def hippo_legs_dplr(state_dim: int) -> tuple[Complex, Complex, Complex]:
    """Return Λ, P and B, each [N/2], with A = V (Λ - P P*) V* for a unitary V (Gu et al. 2022, Theorem 1).

    A + P₀ P₀ᵀ with P₀ₙ = √(n + ½) is -½ I plus a skew matrix, so it has eigenvalues -½ + iω and a unitary V. They come
    in conjugate pairs, of which those with ω > 0 are returned, sorted by ω. N is even.

    >>> diagonal, low_rank, _ = hippo_legs_dplr(2)
    >>> complex(diagonal[0].round(3)), complex(abs(low_rank[0]).round(3))
    ((-0.5+0.866j), (1+0j))
    """
    matrix, enter = hippo_legs(state_dim)
    low_rank = np.sqrt(np.arange(state_dim) + 0.5)
    skew = matrix + np.outer(low_rank, low_rank) + 0.5 * np.eye(state_dim)
    # -i times a skew matrix is Hermitian: its eigenvalues are real to the last digit, and sorted.
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    upper = vectors[:, state_dim // 2 :].conj().T
    return -0.5 + 1j * frequencies[state_dim // 2 :], upper @ low_rank, upper @ enter

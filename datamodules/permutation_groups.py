"""Groups of permutations: named ones, any by generators, and their tables of products. Imports no torch."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence

Permutation = tuple[int, ...]
LARGEST_GROUP = 1024
"""Elements of a group at most: every one is a token and a class."""


def compose(first: Permutation, second: Permutation) -> Permutation:
    """Return the permutation that applies one after the other.

    >>> compose((1, 2, 0), (0, 2, 1))
    (2, 1, 0)
    """
    return tuple(second[image] for image in first)


def generated_group(generators: Iterable[Permutation]) -> list[Permutation]:
    """Return all products of some permutations, in lexical order: the identity comes first.

    Raises:
        ValueError: there are more than ``LARGEST_GROUP``.

    >>> generated_group([(1, 0, 2), (0, 2, 1)])
    [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    """
    generators = list(generators)
    found = {tuple(range(len(generators[0])))}
    new = list(found)
    while new:
        new = [product for product in {compose(a, b) for a in new for b in generators} if product not in found]
        found.update(new)
        if len(found) > LARGEST_GROUP:
            raise ValueError(f"group must have at most {LARGEST_GROUP} elements, got more")
    return sorted(found)


def named_generators(name: str) -> list[Permutation]:
    """Return generators of a group by its name: ``S5``, ``A5``, ``Z60``, or a product of such as ``A4xZ5``.

    Raises:
        ValueError: there is no such group.

    >>> len(generated_group(named_generators("A5"))), len(generated_group(named_generators("A4xZ5")))
    (60, 60)
    """
    matches = [re.fullmatch(r"([ASZ])([1-9]\d{0,3})", factor) for factor in name.split("x")]
    kinds = [(match[1], int(match[2])) for match in matches if match]
    if len(kinds) < len(matches):
        raise ValueError(f"group must be S, A or Z with a number, or a product such as A4xZ5, got {name!r}")
    if math.prod(min(_order(*kind), LARGEST_GROUP + 1) for kind in kinds) > LARGEST_GROUP:
        raise ValueError(f"group must have at most {LARGEST_GROUP} elements, got {name!r}")
    factors = [_generators(*kind) for kind in kinds]
    # Each factor acts on points of its own.
    degrees = [len(generators[0]) for generators in factors]
    starts = [*itertools.accumulate(degrees, initial=0)]
    found = []
    for generators, start in zip(factors, starts, strict=False):
        for generator in generators:
            moved = [start + image for image in generator]
            found.append((*range(start), *moved, *range(start + len(moved), starts[-1])))
    return found


def _order(kind: str, degree: int) -> int:
    if kind == "Z":
        return degree
    return max(1, math.factorial(min(degree, 9)) // (2 if kind == "A" else 1))


def _generators(kind: str, degree: int) -> list[Permutation]:
    identity = tuple(range(degree))
    if kind == "Z":
        return [(*identity[1:], 0)]
    if kind == "S":
        return [_cycle(identity, (place, place + 1)) for place in range(degree - 1)] or [identity]
    return [_cycle(identity, (0, 1, place)) for place in range(2, degree)] or [identity]


def _cycle(identity: Permutation, points: Sequence[int]) -> Permutation:
    images = list(identity)
    for point, image in zip(points, [*points[1:], points[0]], strict=True):
        images[point] = image
    return tuple(images)


def check_generators(generators: Sequence[Sequence[int]]) -> list[Permutation]:
    """Return generators as permutations; ValueError unless all are such of the same points.

    >>> check_generators([[1, 2, 0], [1, 1, 0]])
    Traceback (most recent call last):
    ValueError: generators must be permutations of 0 to 2, as lists of images, got [1, 1, 0]
    """
    sequences = (list, tuple)
    if not isinstance(generators, sequences) or not all(isinstance(one, sequences) and one for one in generators):
        raise ValueError(f"generators must be lists of images, got {generators!r}")
    for generator in generators:
        degree = len(generators[0])
        if any(type(image) is not int for image in generator) or sorted(generator) != list(range(degree)):
            what = f"permutations of 0 to {degree - 1}, as lists of images"
            raise ValueError(f"generators must be {what}, got {generator!r}")
    if not generators or degree > LARGEST_GROUP:
        raise ValueError(f"generators must be permutations of at most {LARGEST_GROUP} points, got {len(generators)}")
    return [tuple(generator) for generator in generators]


def product_table(elements: Sequence[Permutation]) -> list[list[int]]:
    """Return the place among a group's elements of each product: row a, column b for a, and then b.

    >>> product_table(generated_group([(1, 2, 0)]))
    [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    places = {element: place for place, element in enumerate(elements)}
    return [[places[compose(a, b)] for b in elements] for a in elements]

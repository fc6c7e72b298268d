"""The panels that figures of dynamics are made of. Needs numpy and matplotlib: import it only to draw."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from rnnbench.leaderboard.drawing import panel_parts as parts
from rnnbench.leaderboard.drawing.figure_style import REFERENCE, look
from rnnbench.leaderboard.drawing.learning_curves import CHANCE, curve, draw_chance
from rnnbench.leaderboard.drawing.panel_parts import Sheet
from rnnbench.leaderboard.dynamics import Series, measurements, moments, scalar_residual, trained_cells

_MOST_LINES = 20
_BOUND = (0, (4, 2))
_RESIDUAL = (0, (5, 3))


def learning(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the ranked metric on the test split over training; ``series`` is not used."""
    metric = sheet.column.metric
    cells = trained_cells(sheet.column).cells
    values: list[float] = []
    for index, network in enumerate(sheet.board.networks):
        if network in cells:
            shown = curve(cells[network], "test")
            rows = np.array([shown.low, shown.mean, shown.high]).reshape(3, -1)
            parts.draw_line(axes, np.array(shown.steps), rows[1], look(index))
            parts.draw_band(axes, np.array(shown.steps), rows, look(index))
            sheet.legend.add(network)
            values += shown.low
    if draw_chance(axes, metric, values):
        sheet.legend.refer("chance", REFERENCE, CHANCE)
    axes.set(xlabel="optimiser steps", ylabel=f"test {metric.display.axis}")


def spectrum(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the exponents by rank: mean and range over sequences and instances; those at −∞ as triangles at the axis."""
    anything = False
    for network, drawn, instances in sheet.each(series):
        width = min(arrays["exponents"].shape[1] for arrays in instances)
        every = np.concatenate([parts.floats(arrays["exponents"])[:, :width] for arrays in instances])
        rows = every[~(np.isnan(every) | np.isposinf(every)).any(axis=1)]
        ranks = np.arange(1, width + 1)
        finite = np.isfinite(rows).all(axis=0) if len(rows) else np.zeros(width, bool)
        lost = len(every) - len(rows)
        infinite = int((~finite).sum()) if len(rows) else 0
        sheet.legend.count(network, infinite, width, "exponents at −∞")
        sheet.legend.count(network, lost, len(every), "sequences not finite")
        if finite.any():
            anything = True
            parts.mean_line(axes, ranks[finite], rows[:, finite], drawn)
        if infinite:
            # One triangle for each would be a bar.
            shown = ranks[~finite][:: max(1, infinite // 25)]
            at_axis: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            axes.plot(shown, 0 * shown, "v", color=drawn.colour, markersize=3.5, **at_axis)
    if not anything:
        axes.set_yticks([])
    parts.rank_axis(axes, "exponent (nats per step)")


def finite_time(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw finite-time exponents of one sequence of the first instance: at most 20, evenly spread over all of them."""
    for network, drawn, instances in sheet.each(series):
        points = parts.spread(len(instances[0]["curve_steps"]), most=50)
        steps, every = instances[0]["curve_steps"][points], parts.floats(instances[0]["curve"])[points]
        chosen = parts.spread(every.shape[1], most=_MOST_LINES)
        lines = every[:, chosen]
        infinite, lost = int(np.isneginf(lines[-1]).sum()), int((np.isnan(lines[-1]) | np.isposinf(lines[-1])).sum())
        sheet.legend.count(network, infinite, len(chosen), "lines end at −∞")
        sheet.legend.count(network, lost, len(chosen), "lines not finite")
        shown = np.where(np.isfinite(lines), lines, np.nan)
        shown = shown[:, np.isfinite(shown).any(axis=0)]
        axes.plot(steps, shown, color=drawn.colour, linewidth=0.6)
        if shown.shape[1]:
            # One line has markers, by which the bundle is known without colour.
            parts.draw_line(axes, steps, shown[:, shown.shape[1] // 2], drawn, linewidth=0.6, linestyle="solid")
        r = scalar_residual(sheet.column.cells[network].first)
        if r is not None:
            axes.axhline(float(np.log(r)), color="black", linewidth=1.0, linestyle=_RESIDUAL)
            sheet.legend.refer("log r of the residual", "black", _RESIDUAL)
    axes.set(xlabel="time step", ylabel="finite-time exponent (nats per step)")


def hessian(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the magnitudes of the Hessian's eigenvalues by rank; open markers where they are negative."""
    _rank_plot(axes, sheet, series, "eigenvalues", "|eigenvalue| of the Hessian (loss)")
    sheet.legend.refer("negative eigenvalue", REFERENCE, "none", marker="o", markerfacecolor="white")


def curvature(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the largest magnitude of an eigenvalue of the Hessian over training; ``series`` is not used."""
    by_instance: dict[str, dict[int, list[tuple[int, float]]]] = {}
    for moment in moments(sheet.column):
        for network, record, one in measurements(sheet.column, "hessian", moment):
            value = one.summary.get("largest_magnitude")
            points = by_instance.setdefault(network, {}).setdefault(record.instance, [])
            if isinstance(value, int | float) and one.step not in [step for step, _ in points]:
                points.append((one.step, float(value)))
    for index, network in enumerate(sheet.board.networks):
        curves = list(by_instance.get(network, {}).values())
        steps = sorted(set.intersection(*({step for step, _ in curve} for curve in curves))) if curves else []
        if steps:
            rows = np.array([[dict(curve)[step] for step in steps] for curve in curves])
            parts.log_lines(axes, sheet.legend, network, np.array(steps), rows, look(index), "eigenvalues", every=True)
    parts.log_axis(axes)
    axes.set(xlabel="optimiser steps", ylabel="largest |eigenvalue| of the Hessian (loss)")


def gauss_newton(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the eigenvalues of the generalised Gauss–Newton matrix by rank."""
    _rank_plot(axes, sheet, series, "ggn_eigenvalues", "|eigenvalue| of Gauss–Newton (loss)")


def gradient_norms(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the maximum norm of the loss' gradient by the state after each step."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "norm_inf")
        points = parts.spread(rows.shape[1])
        parts.log_lines(axes, sheet.legend, network, points + 1, rows[:, points], drawn, "gradients drawn")
    parts.log_axis(axes)
    axes.set(xlabel="time step", ylabel="‖∂L/∂hₜ‖∞ (loss per unit of state)")


def truncation_error(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the error of the last state when only the last k steps are seen, and its bound where there is one."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "state_error")
        parts.log_lines(axes, sheet.legend, network, instances[0]["ks"][: rows.shape[1]], rows, drawn, every=True)
    # Bounds go on far below what float32 measures, and would press the errors together.
    least = min((np.nanmin(np.asarray(line.get_ydata())) for line in axes.get_lines()), default=None)
    for _, drawn, instances in sheet.each(series):
        if all("bound" in arrays for arrays in instances):
            bounds = parts.stack(instances, "bound")
            # None where an instance is not known to be contractive.
            known = np.flatnonzero((np.isfinite(bounds) & (bounds > 0)).all(axis=0))
            if len(known):
                bound = bounds[:, known].mean(axis=0)
                axes.plot(instances[0]["ks"][known], bound, color=drawn.colour, linewidth=0.9, linestyle=_BOUND)
                sheet.legend.refer("bound", REFERENCE, _BOUND)
    parts.log_axis(axes)
    if least is not None:
        axes.set_ylim(least / 10, 3 * max(np.nanmax(np.asarray(line.get_ydata())) for line in axes.get_lines()))
    _inputs_seen(axes, "state error ‖hₜ − hₜᵏ‖ (units of state)")


def truncation_metric(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the ranked metric when only the last k steps are seen."""
    shown = sheet.column.metric.display
    for network, drawn, instances in sheet.each(series):
        rows = shown.scale * parts.stack(instances, "metric")
        finite = bool(np.isfinite(rows).all())
        sheet.legend.add(network, "" if finite else "metric not finite")
        if finite:
            parts.mean_line(axes, instances[0]["ks"][: rows.shape[1]], rows, drawn, every=True)
    _inputs_seen(axes, shown.axis)


def memory_capacity(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw how much of the variance of the input of each delay the state explains."""
    features = 1.0
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "capacity")
        features = max(features, float(rows.max()))
        parts.mean_line(axes, instances[0]["delays"][: rows.shape[1]], rows, drawn)
        sheet.legend.add(network, f"sum {rows.sum(axis=1).mean():.4g}")
    over = ", sum over inputs" if features > 1.0001 else ""
    axes.set(xlabel="delay (time steps)", ylabel=f"explained variance (fraction{over})")


def polynomial_degree(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the degree of the output as a polynomial of the inputs."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "degree")
        parts.mean_line(axes, instances[0]["steps"][: rows.shape[1]], rows, drawn, every=True)
        sheet.legend.add(network)
    axes.set(xlabel="time step", ylabel="degree of the output in the inputs")


def iterations(axes: Axes, sheet: Sheet, series: Series, variant: str = "newton") -> None:
    """Draw the iterations of Newton's method against the length, and the bound T."""
    longest = 1
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, variant)
        steps = instances[0]["steps"][: rows.shape[1]]
        longest = max(longest, int(steps[-1]))
        parts.mean_line(axes, steps, rows, drawn, every=True)
        sheet.legend.add(network)
    axes.plot([1, longest], [1, longest], color=REFERENCE, linewidth=0.9, linestyle=_BOUND)
    sheet.legend.refer("T iterations", REFERENCE, _BOUND)
    what = "Newton's method" if variant == "newton" else "its diagonal variant"
    axes.set(xlabel="length T (time steps)", ylabel=f"iterations of {what}", xscale="log")


def diagonal_iterations(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the iterations of the variant with the Jacobian's diagonal alone."""
    iterations(axes, sheet, series, "diagonal")


def processing_capacity(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the capacity of each degree."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "by_degree")
        parts.mean_line(axes, instances[0]["degrees"][: rows.shape[1]], rows, drawn, every=True)
        sheet.legend.add(network, f"sum {rows.sum(axis=1).mean():.4g}")
    axes.set(xlabel="degree", ylabel="information processing capacity")


def singular_values(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the singular values of the map from all inputs to the last state by rank."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "singular_values")
        points = parts.spread(rows.shape[1])
        parts.log_lines(axes, sheet.legend, network, points + 1, rows[:, points], drawn, "values drawn")
    parts.log_axis(axes)
    axes.set(xlabel="rank", ylabel="singular value of ∂hₜ/∂(x₁, …, xₜ)")


def last_distance(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw how far the weights of truncated training end from those of recurrent training."""
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, "distance")[:, :, -1]
        parts.log_lines(axes, sheet.legend, network, instances[0]["ks"][: rows.shape[1]], rows, drawn, every=True)
    parts.log_axis(axes)
    _inputs_seen(axes, "‖w − wᵏ‖₂ after the last step (units of weight)")


def distances(axes: Axes, sheet: Sheet, series: Series) -> None:
    """Draw the distance of the weights over training, for the smallest k (thin) and the largest that is not exact."""
    different = False
    for network, drawn, instances in sheet.each(series):
        mean = parts.stack(instances, "distance").mean(axis=0)
        # A truncation longer than the sequences differs by rounding errors alone.
        moving = np.flatnonzero(np.nanmax(mean, axis=1, initial=0.0) > 1e-9 * np.nanmax(mean, initial=0.0))
        sheet.legend.add(network)
        if len(moving):
            different = True
            for row, linewidth in ((mean[moving[0]], 0.7), (mean[moving[-1]], 2.0)):
                shown = np.where(np.isfinite(row) & (row > 0), row, np.nan)
                steps = np.arange(1, len(row) + 1)
                axes.plot(steps, shown, color=drawn.colour, linestyle=drawn.dashes, linewidth=linewidth)
    parts.log_axis(axes)
    axes.set_xlabel(f"optimiser steps{' (thin: smallest k, thick: largest k that differs)' if different else ''}")
    axes.set_ylabel("‖w − wᵏ‖₂ (units of weight)")


def _inputs_seen(axes: Axes, label: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set(xlabel="inputs seen, k (time steps)", ylabel=label)


def _rank_plot(axes: Axes, sheet: Sheet, series: Series, name: str, label: str) -> None:
    for network, drawn, instances in sheet.each(series):
        rows = parts.stack(instances, name)
        ranks = np.arange(1, rows.shape[1] + 1)
        parts.log_lines(axes, sheet.legend, network, ranks, np.abs(rows), drawn, "eigenvalues", marker="")
        height = np.abs(rows).mean(axis=0)
        # Of several instances, what most of them are.
        negative = (rows < 0).mean(axis=0) > 0.5
        for which, face in ((~negative, drawn.colour), (negative, "white")):
            shown = which & np.isfinite(height) & (height > 0)
            markers: dict[str, Any] = {"marker": drawn.marker, "markersize": 3.5, "markerfacecolor": face}
            axes.plot(ranks[shown], height[shown], color=drawn.colour, linestyle="none", markeredgewidth=0.8, **markers)
    parts.log_axis(axes)
    parts.rank_axis(axes, label)

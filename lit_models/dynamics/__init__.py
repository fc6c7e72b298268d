"""Measures of dynamics: pure functions of a recurrence, a network or a loss, each with known answers as tests."""

"""Scans: passes of a recurrence over time. The loop over its steps is the definition; faster ones must equal it.

``contract`` says what a recurrence and a kernel give, ``policy`` what is asked for here, ``dispatch`` what runs. Each
backend has a folder: ``loop``, ``linear`` (state spaces), ``eager`` (PyTorch), ``native`` (C) and ``triton``.
"""

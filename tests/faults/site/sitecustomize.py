"""What Python imports first where this folder is in PYTHONPATH: in processes that no test can reach otherwise."""

from tests.faults.injected import install

install()

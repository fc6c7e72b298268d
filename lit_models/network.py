"""A network: encoder, recurrence, affine readout."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from lit_models.recurrence import Recurrence


class Network(nn.Module):
    """Encoder → recurrence → affine readout, batch-major at the door and time-major inside.

    Nothing here touches the recurrence's parameters: they are bit-equal to those that were given.

    Args:
        recurrence: the recurrence of D inputs and N outputs.
        output_size: K.
        readout: whether the readout is applied to the ``last`` output or to ``every`` one.
        encoder: maps inputs [T, B, ...] to [T, B, D]; the identity if None.
    """

    def __init__(
        self,
        recurrence: Recurrence,
        output_size: int,
        readout: Literal["last", "every"],
        encoder: nn.Module | None = None,
    ) -> None:
        """Add a readout with PyTorch's default initialisation."""
        super().__init__()
        self.encoder = nn.Identity() if encoder is None else encoder
        self.recurrence = recurrence
        self.readout = nn.Linear(recurrence.hidden_size, output_size)
        self.readout_at = readout

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return outputs [B, K] of the last step, or [B, T, K] of every step, for inputs [B, T, D].

        Where sequences have ``lengths`` [B], outputs past them are of no meaning: nothing scores them.
        """
        encoded = self.encoder(inputs.transpose(0, 1))
        if self.readout_at == "last":
            return self.readout(self._last(encoded, lengths))
        # Padding comes last and a recurrence is causal: walking through it changes no step before, and whole sequences
        # are walked faster than those that stand still at ends of their own.
        return self.readout(self.recurrence(encoded)[0]).transpose(0, 1)

    def _last(self, encoded: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return self.recurrence.forward_last(encoded)[0]
        ends = (lengths - 1).view(1, -1, 1)
        outputs = self.recurrence(encoded)[0]
        return outputs.gather(0, ends.expand(1, -1, outputs.shape[-1]))[0]

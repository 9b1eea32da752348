"""Where a run's numbers are drawn: TensorBoard, Weights & Biases; each by a package that may be missing."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddsprl.io.errors import UserError

# Seconds until TensorBoard's file is written out by itself; `flush` does so at once.
FLUSH_S = 30


class TensorBoard:
    """Event files in a folder."""

    def __init__(self, folder: Path, *, purge_from: int | None = None) -> None:
        """Opens a new event file.

        Args:
            folder: of the event files; created.
            purge_from: a run goes on: what earlier files say of this iteration and later ones is not shown.

        Raises:
            UserError: the package is missing, or the folder cannot be written.
        """
        if not tensorboard_installed():
            remedy = "pip install 'ddsprl[logging]', or turn it off"
            raise UserError(f"TensorBoard: tensorboardX is not installed; {remedy}")
        writer: Any = importlib.import_module("tensorboardX").SummaryWriter
        try:
            self._writer = writer(str(folder), purge_step=purge_from, flush_secs=FLUSH_S)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Numbers of one iteration; NaN and infinities are shown as such."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def flush(self) -> None:
        """Write out."""
        self._writer.flush()

    def close(self) -> None:
        """Write out and end."""
        self._writer.close()


class WeightsAndBiases:
    """One run there; `wandb` asks for an account, or works offline, by its own settings."""

    def __init__(self, folder: Path, *, name: str, config: Mapping[str, Any]) -> None:
        """Start a run, or go on with the one of the same name.

        Args:
            folder: for the package's own files.
            name: of the run; also its identity.
            config: settings shown with it.

        Raises:
            UserError: the package is missing, or it cannot start.
        """
        if importlib.util.find_spec("wandb") is None:
            raise UserError("Weights & Biases: wandb is not installed; pip install wandb, or turn it off")
        wandb: Any = importlib.import_module("wandb")
        try:
            self._run = wandb.init(
                project="ddsprl", dir=str(folder), name=name, id=name, resume="allow", config=dict(config)
            )
        except Exception as error:  # the package's own kinds, which differ between versions
            raise UserError(f"Weights & Biases: cannot start ({error}); it can be turned off") from error

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Numbers of one iteration, beside which it is drawn: several records may share one."""
        self._run.log({**values, "iteration": iteration})

    def flush(self) -> None:
        """The package sends by itself."""

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def tensorboard_installed() -> bool:
    """Whether TensorBoard files can be written."""
    return importlib.util.find_spec("tensorboardX") is not None

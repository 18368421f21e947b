"""The trainer's commands by name."""

from trainer.backtest_command import backtest
from trainer.evaluate_command import evaluate
from trainer.train_command import train

__all__ = ["backtest", "evaluate", "train"]

"""Train, evaluate, backtest and register model versions."""

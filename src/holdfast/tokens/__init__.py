"""Tokens: the keys behind them, how they are signed and checked, and how refresh tokens are derived."""

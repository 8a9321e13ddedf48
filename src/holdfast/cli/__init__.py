"""The command line: `holdfast serve` and what an operator needs beside it."""

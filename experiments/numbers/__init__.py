"""Measured numbers of the README and of docs/, written from the committed CSV files."""

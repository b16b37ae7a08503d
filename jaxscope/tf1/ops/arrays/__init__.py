"""Shapes, joining and splitting, indexing, gathering: what moves numbers and computes none."""

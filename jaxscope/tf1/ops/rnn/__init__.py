"""Recurrent cells and loops, over `js.layers`."""

"""Plots, tables and the report page of a run, written from the files of its directory."""

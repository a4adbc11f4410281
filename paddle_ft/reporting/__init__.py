"""What plots and the report read of a run directory, and the page the report is poured into."""

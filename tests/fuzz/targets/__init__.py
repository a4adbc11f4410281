"""The fuzz targets. A module here is found without being listed; it defines a tuple TARGETS."""

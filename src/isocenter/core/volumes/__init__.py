"""Volumes on regular grids, and the files that hold them: NIfTI, NRRD, STL."""

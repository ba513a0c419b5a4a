"""Fits, intervals, contours and rankings, and what they return."""

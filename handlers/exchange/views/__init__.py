"""Contracts on the wire: one view class for each family that shows more than the common fields."""

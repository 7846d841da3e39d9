"""The objects that go out: segmentations, report, pictures, maps, and what they draw and name."""

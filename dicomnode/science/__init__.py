"""Arrays in, arrays out: the measurement itself. No DICOM, no files, no clock."""

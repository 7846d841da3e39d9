"""The record of a result: typed values that every list, page, command and file is made from."""

"""From the files of a study to the files of its results: the whole job of one worker process."""

from dicomnode.outputs.job import Outcome, OutputFile, Request, process

__all__ = ["Outcome", "OutputFile", "Request", "process"]

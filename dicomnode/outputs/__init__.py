"""From the files of a study to the files of its results: the whole job of one worker process."""

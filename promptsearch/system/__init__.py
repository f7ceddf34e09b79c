"""The machine and the file system: files, locks, CPUs, memory, number formats."""

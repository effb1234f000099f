"""The sinks: one file each."""

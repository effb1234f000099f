"""A second set of tasks and goals, of this project's own: an office, written down before there was a policy for it."""

"""The typed form of policies, shared by every evaluator."""

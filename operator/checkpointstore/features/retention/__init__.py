"""How long checkpoints stay: the policy, what is due, and the Job that prunes."""

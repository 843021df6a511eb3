"""Cold tiers: what is moved to an object store, when, and how it comes back."""

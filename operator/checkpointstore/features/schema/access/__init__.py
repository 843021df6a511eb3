"""Who may do what in the database: the roles, and what they are granted."""

"""The rooms that know a product: each turns `spec.postgres` into a primary that features can use."""

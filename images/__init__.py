"""The container images: one folder with a Containerfile each, and the small builder that names them."""

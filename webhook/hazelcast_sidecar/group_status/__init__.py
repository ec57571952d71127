"""The command `status`: what the members of each group say."""

"""The networks, their first weights and their summary."""

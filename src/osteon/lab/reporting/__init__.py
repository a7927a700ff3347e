"""A run told from its own record: data, training, network, metrics, failures, model card and checklist, as a page and as Markdown."""

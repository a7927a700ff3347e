"""A release: from trainings to the model file that is handed out, in stages."""

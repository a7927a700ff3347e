"""The INT8 form beside float32, and what it costs."""

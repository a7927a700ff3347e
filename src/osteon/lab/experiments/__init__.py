"""Cross-validation, ablation studies and tuning."""

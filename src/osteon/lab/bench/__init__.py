"""How fast this machine predicts, starts, decodes, indexes and trains, beside what it could do at best."""

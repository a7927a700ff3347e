"""From MURA's folder to the table beside the paper's, in one command."""

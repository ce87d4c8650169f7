"""Parts of the growth benchmark and of the soak: processes watched, fits, a picture, a history."""

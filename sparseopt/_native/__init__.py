"""The compiled core and its pure reference."""

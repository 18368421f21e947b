"""The whole way of a row through commands, as a person would type them."""

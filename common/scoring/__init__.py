"""From columns of readings to scores, decisions and the account of them."""

"""What looks wrong, each with a number and a limit: in the curve, the network, the data, and from seed to seed."""

"""3x3 convolutions in fp32 by Winograd's method, with a quarter of the products of the direct way."""

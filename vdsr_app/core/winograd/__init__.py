"""3x3 convolutions by Winograd's method, with a quarter of the products of the direct one: fp32, or bf16 to train."""

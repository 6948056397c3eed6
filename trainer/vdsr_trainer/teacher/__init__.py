"""Knowledge distillation: a teacher works on the LR picture, learns quickly, and gives a network its targets.

The picture a patch was made from is one of many that would have made the same LR picture. The part nobody can guess is,
to a network that learns from it, noise in the gradient, and by far most of the error. A network that already guesses
well gives the mean of what could be there instead, so that the remaining error is what there is to learn: with the same
steps a network gets further. The teacher need not have the shape that people run; it may see the LR picture itself,
which has a quarter to a sixteenth of the pixels, and so learns from as many times more of them.

`network` what it is · `patches` what it learns from · `learner` a step of it · `phase` the part of a run in which it is
trained · `weight_file` a trained one on disk · `weight_header` the header of that file · `answers` its output for a
picture · `kept_answers` those on disk · `asking` all of this before a run's first step.

Sources: G. Hinton et al., "Distilling the knowledge in a neural network", 2015; for sub-pixels, W. Shi et al.,
"Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network", CVPR
2016.
"""

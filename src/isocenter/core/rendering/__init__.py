"""Pictures of images as a viewer would show them: PNG, JPEG and animated GIF.

From stored values through modality LUT, VOI LUT and presentation LUT (PS3.3 C.11, PS3.4 N.2) to
8 bits, with the parameters of rendered resources (PS3.18 8.3.5). What decodes and draws runs in a
child process: :mod:`isocenter.core.rendering.job`.
"""

"""Images: decoded and measured before they enter a history, and made such as every API takes.

    fitting.py    an image in, one that can be sent out; or a sentence that says why not
    decoding.py   the program of the worker that decodes: Pillow, within limits of time and memory

An image that cannot be sent makes every later request of its session fail. So each one is decoded
as a whole, by a process that can be killed, wherever it comes from. One that every API takes is
kept as it came, byte for byte. Others are converted, turned as their EXIF data say, or scaled down,
and a note says so; what is no image is refused.

The package knows neither sessions nor tools, and asks no provider: its limits are those of the
strictest API.
"""

from wingman.images.fitting import MOST_IMAGES, ImageRefused, fit_image, fit_images

__all__ = ["MOST_IMAGES", "ImageRefused", "fit_image", "fit_images"]

"""Makes the images of test/fixtures/pixels, and records what OpenCV and Pillow read in them: python3 pixels.py FOLDER."""
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
WIDTH, HEIGHT = 61, 47
random = np.random.default_rng(11)


def picture(width, height):
    """Soft colours, discs with hard edges, and noise."""
    coarse = random.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        at = (int(random.integers(0, width)), int(random.integers(0, height)))
        colour = tuple(int(level) for level in random.integers(0, 256, 3))
        cv2.circle(image, at, int(random.integers(2, 12)), colour, -1)
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def chunk(png, kind, data):
    """The PNG with one more chunk behind its header."""
    packed = struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return png[:33] + packed + png[33:]


def with_adobe(jpeg, transform):
    """The JPEG with a note of Adobe's about its colours, or (None) without any."""
    at = 2
    while jpeg[at + 1] in (0xE0, 0xEE):
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], 'big')
    note = b'' if transform is None else b'\xff\xee\x00\x0eAdobe' + bytes([0, 100, 0, 0, 0, 0, transform])
    return jpeg[:2] + note + jpeg[at:]


def draw():
    rgb = picture(WIDTH, HEIGHT)
    alpha = random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    deep = random.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
    image, grey = Image.fromarray(rgb), Image.fromarray(rgb[:, :, 0])
    see_through = Image.fromarray(np.dstack([rgb, alpha]))

    def save(name, what, **options):
        what.save(folder / name, **options)
        return (folder / name).read_bytes()

    for name, subsampling in (('444', 0), ('422', 1), ('420', 2)):
        jpeg = save(f'{name}.jpg', image, quality=85, subsampling=subsampling)
        if subsampling == 0:
            (folder / 'adobe-rgb.jpg').write_bytes(with_adobe(jpeg, 0))
    save('progressive.jpg', image, progressive=True)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / 'restarts.jpg'), bgr, [cv2.IMWRITE_JPEG_QUALITY, 60, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
    save('grey.jpg', grey)
    cmyk = save('cmyk.jpg', image.convert('CMYK'))
    for name, transform in (('cmyk-without-adobe', None), ('ycck', 2)):
        (folder / f'{name}.jpg').write_bytes(with_adobe(cmyk, transform))
    png = save('rgb.png', image)
    (folder / 'gamma.png').write_bytes(chunk(png, b'gAMA', struct.pack('>I', 100000)))
    save('grey.png', grey)
    save('one-bit.png', grey.convert('1'))
    save('palette.png', image.convert('P'))
    save('four-bit-palette.png', image.quantize(16), bits=4)
    save('alpha.png', see_through)
    save('grey-alpha.png', Image.fromarray(np.dstack([rgb[:, :, 0], alpha]), 'LA'))
    for name, channels in (('deep-grey', deep[:, :, 0]), ('deep', deep[:, :, :3]), ('deep-alpha', deep)):
        cv2.imwrite(str(folder / f'{name}.png'), channels)
    save('lossy.webp', image, quality=80)
    save('lossless.webp', image, lossless=True)
    save('alpha.webp', see_through, quality=80)
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = turn
        save(f'turned-{turn}.jpg', image, exif=exif)
        save(f'turned-{turn}.png', image, exif=exif)
        save(f'turned-{turn}.webp', image, exif=exif, lossless=True)


def digest(rgb):
    return hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest()


def read(path):
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def record():
    images = {}
    for path in sorted(folder.glob('*.*')):
        if path.suffix == '.json':
            continue
        rgb = read(path)
        images[path.name] = {'width': rgb.shape[1], 'height': rgb.shape[0], 'sha256': digest(rgb)}
    rgb = read(folder / 'rgb.png')
    even = np.ascontiguousarray(rgb[:46, :60])
    resized = []
    for source, crop in ((rgb, [WIDTH, HEIGHT]), (even, [60, 46])):
        for width, height in ((30, 23), (17, 13), (61, 47), (64, 49), (200, 150), (1, 1), (5, 90), (90, 5), (59, 45)):
            linear = cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)
            resized.append({'crop': crop, 'width': width, 'height': height, 'filter': 'opencv', 'sha256': digest(linear)})
    for width, height in ((30, 23), (17, 13), (64, 49), (200, 154), (7, 5)):
        smooth = np.asarray(Image.fromarray(rgb).resize((width, height), Image.BILINEAR))
        resized.append({'crop': [WIDTH, HEIGHT], 'width': width, 'height': height, 'filter': 'pillow', 'sha256': digest(smooth)})
    versions = {'opencv': cv2.__version__, 'pillow': PIL.__version__, 'numpy': np.__version__}
    reference = {'versions': versions, 'images': images, 'resized': resized}
    (folder / 'reference.json').write_text(json.dumps(reference, indent=1) + '\n')


draw()
record()

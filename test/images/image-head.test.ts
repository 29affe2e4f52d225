import { readdir, readFile } from 'node:fs/promises'
import { deflateSync } from 'node:zlib'
import { expect } from 'chai'
import sharp from 'sharp'
import { readImageHead } from '../../src/images/image-head.js'
import { checkImageSize } from '../../src/images/image-size.js'
import { decodeImage } from '../../src/images/pixels/decode-image.js'
import { noiseJpeg } from '../helpers/jpegs.js'
import { rejection } from '../inference/rejection.js'

const folder = new URL('../fixtures/pixels/', import.meta.url)
const names = (await readdir(folder)).filter((name) => !name.endsWith('.json'))

/** A PNG whose rows are all black: a few kilobytes, however large it is. */
function blackPng(width: number, height: number): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const rows = deflateSync(Buffer.alloc(height * (1 + 3 * width)))
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    ...[chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))],
  ])
}

function chunk(kind: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  return Buffer.concat([length, Buffer.from(kind, 'latin1'), data, Buffer.alloc(4)]) // nobody reads the checksum
}

/** A WebP head of each kind, with no picture behind it. */
function webpHead(kind: 'VP8X' | 'VP8L' | 'VP8 ', width: number, height: number): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.write('RIFF', 0, 'latin1')
  bytes.write(`WEBP${kind}`, 8, 'latin1')
  if (kind === 'VP8X') {
    bytes.writeUIntLE(width - 1, 24, 3)
    bytes.writeUIntLE(height - 1, 27, 3)
  } else if (kind === 'VP8L') bytes.writeUInt32LE((width - 1) | ((height - 1) << 14), 21)
  else {
    bytes.writeUInt16LE(width, 26)
    bytes.writeUInt16LE(height, 28)
  }
  return bytes
}

describe('The head of an image', () => {
  it('tells the size that the decoder finds, before EXIF turns it', async () => {
    for (const name of names) {
      const bytes = await readFile(new URL(name, folder))
      const { width, height, format } = await sharp(bytes).metadata()
      expect(readImageHead(bytes), name).to.include({ width, height, format })
    }
  })

  it('tells size and format of every kind of WebP', () => {
    for (const kind of ['VP8X', 'VP8L', 'VP8 '] as const) {
      expect(readImageHead(webpHead(kind, 12_345, 6789))).to.include({ format: 'webp', width: 12_345, height: 6789 })
    }
  })

  it('is read past fill bytes, a thumbnail and whatever lies between two segments of a JPEG', async () => {
    const jpeg = await noiseJpeg(64, 48)
    const thumbnail = await noiseJpeg(16, 12)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(thumbnail.length + 2)
    const segment = Buffer.concat([
      Buffer.from([0xff, 0xff, 0xff, 0xe1]),
      length,
      thumbnail,
      Buffer.from([1, 2, 0xff, 0]),
    ])

    const changed = Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)])

    expect(readImageHead(changed)).to.include({ width: 64, height: 48 })
    expect(await decodeImage(changed, { maxPixels: 1e6 })).to.include({ width: 64, height: 48 })
  })

  it('refuses every other format, and what has no size', async () => {
    const jpeg = await noiseJpeg(64, 48)
    const cases: [Uint8Array, string][] = [
      [Buffer.alloc(0), 'The image is empty.'],
      ...['GIF89a', 'BM      ', 'II*\0', 'MM\0*', '\0\0\0\x20ftypheic', '<svg/>', '%PDF-1.7'].map(
        (start): [Uint8Array, string] => [
          Buffer.from(start.padEnd(64), 'latin1'),
          'The image is no JPEG, PNG or WebP.',
        ],
      ),
      [jpeg.subarray(0, 12), 'The image cannot be decoded: it is a JPEG without a size in its head.'],
      [Buffer.from([0xff, 0xd8, 0xff, 0xd9]), 'The image cannot be decoded: it is a JPEG without a size in its head.'],
      [blackPng(0, 5), 'The image cannot be decoded: it is a PNG without a size in its head.'],
      [blackPng(5, 5).subarray(0, 20), 'The image cannot be decoded: it is a PNG without a size in its head.'],
      [webpHead('VP8 ', 0, 5), 'The image cannot be decoded: it is a WebP without a size in its head.'],
    ]
    for (const [bytes, sentence] of cases) {
      const error = await rejection(decodeImage(bytes, { maxPixels: 1e6 }))
      expect(error).to.include({ code: 'LF_IMAGE_UNREADABLE', message: sentence })
    }
  })
})

describe('A bomb', () => {
  const limits = { maxPixels: 64_000_000 }

  it('is refused by its head for a long edge, in either direction', async () => {
    for (const bytes of [blackPng(6_400_000, 10), blackPng(10, 6_400_000), blackPng(65_536, 1)]) {
      const before = process.memoryUsage().rss

      const error = await rejection(decodeImage(bytes, limits))

      expect(error.code).to.equal('LF_IMAGE_TOO_LARGE')
      expect(error.message).to.match(/^The image has \d+x\d+ pixels; edges of at most 65535 pixels are read\.$/)
      expect(process.memoryUsage().rss - before).to.be.lessThan(50 * 2 ** 20)
    }
  })

  it('is refused by its head for many pixels, in every format', async () => {
    const jpeg = await noiseJpeg(16, 16)
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
    jpeg.writeUInt16BE(30_000, frame + 5)
    jpeg.writeUInt16BE(30_000, frame + 7)
    for (const bytes of [jpeg, blackPng(9000, 9000).subarray(0, 200), webpHead('VP8X', 16_000, 16_000)]) {
      expect((await rejection(decodeImage(bytes, limits))).code).to.equal('LF_IMAGE_TOO_LARGE')
    }
  })

  it('has edges of at most 65535 pixels', () => {
    expect(() => checkImageSize({ width: 65_535, height: 900 }, 64_000_000)).not.to.throw()
    expect(() => checkImageSize({ width: 1, height: 65_536 }, 64_000_000)).to.throw('edges of at most 65535')
  })
})

import { expect } from 'chai'
import fc from 'fast-check'
import sharp from 'sharp'
import { plainJpegSize } from '../../../src/inference/jpeg/plain-jpeg.js'
import { plainJpeg, withHeaderSize } from '../images.js'

async function jpeg(): Promise<Buffer> {
  return await plainJpeg(24, 16, '#ff0000')
}

/** The JPEG with bytes put in behind its start marker. */
function withSegment(image: Buffer, segment: readonly number[]): Buffer {
  return Buffer.concat([image.subarray(0, 2), Buffer.from(segment), image.subarray(2)])
}

function frameOf(image: Buffer): { readonly begin: number; readonly bytes: Buffer } {
  const begin = image.indexOf(Buffer.from([0xff, 0xc0]))
  return { begin, bytes: image.subarray(begin, begin + 2 + image.readUInt16BE(begin + 2)) }
}

describe('The header of a plain JPEG', () => {
  it('tells the size of colour and grey ones, whatever other notes lie before it', async () => {
    const grey = await sharp(await jpeg())
      .toColourspace('b-w')
      .jpeg()
      .toBuffer()
    const turned = await sharp(await jpeg())
      .withMetadata({ orientation: 6, icc: undefined })
      .keepExif()
      .jpeg()
      .toBuffer()
    const noted = withSegment(await jpeg(), [0xff, 0xfe, 0, 4, 0xff, 0xc0])

    expect(plainJpegSize(await jpeg())).to.deep.equal({ width: 24, height: 16 })
    expect(plainJpegSize(grey)).to.deep.equal({ width: 24, height: 16 })
    expect(plainJpegSize(noted)).to.deep.equal({ width: 24, height: 16 })
    expect([undefined, 24]).to.include(plainJpegSize(turned)?.width)
  })

  it('is left to another reader if it is progressive, CMYK, arithmetic, or has a colour profile', async () => {
    const red = sharp(await jpeg())
    const arithmetic = await jpeg()
    arithmetic[frameOf(arithmetic).begin + 1] = 0xc9

    expect(plainJpegSize(await red.clone().jpeg({ progressive: true }).toBuffer())).to.equal(undefined)
    expect(plainJpegSize(await red.clone().toColourspace('cmyk').jpeg().toBuffer())).to.equal(undefined)
    expect(plainJpegSize(await red.clone().withIccProfile('p3').jpeg().toBuffer())).to.equal(undefined)
    expect(plainJpegSize(arithmetic)).to.equal(undefined)
  })

  it('is left to another reader if two readers could find different sizes in it', async () => {
    const image = await jpeg()
    const { bytes } = frameOf(withHeaderSize(image, 65_000, 65_000))
    const twoFrames = withSegment(image, [...bytes])
    const scanOfOne = Buffer.from(image)
    scanOfOne[image.indexOf(Buffer.from([0xff, 0xda])) + 4] = 1
    const longFrame = Buffer.from(image)
    longFrame.writeUInt16BE(bytes.length, frameOf(image).begin + 2)

    expect(plainJpegSize(twoFrames)).to.equal(undefined)
    expect(plainJpegSize(withSegment(image, [0xff]))).to.equal(undefined)
    expect(plainJpegSize(withSegment(image, [0]))).to.equal(undefined)
    expect(plainJpegSize(withSegment(image, [0xff, 0xd8]))).to.equal(undefined)
    expect(plainJpegSize(withSegment(image, [0xff, 0xe0, 0, 1]))).to.equal(undefined)
    expect(plainJpegSize(scanOfOne)).to.equal(undefined)
    expect(plainJpegSize(longFrame)).to.equal(undefined)
    expect(plainJpegSize(withHeaderSize(image, 0, 16))).to.equal(undefined)
    expect(plainJpegSize(withHeaderSize(image, 24, 0))).to.equal(undefined)
  })

  it('ends in a size or in nothing for any bytes, wherever it is cut or changed', async () => {
    const image = await jpeg()

    for (let end = 0; end < image.length; end++) plainJpegSize(image.subarray(0, end))
    fc.assert(
      fc.property(fc.nat(image.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
        const changed = Buffer.from(image)
        changed.set(bytes.subarray(0, image.length - at), at)
        const size = plainJpegSize(changed)
        return size === undefined || (size.width > 0 && size.height > 0)
      }),
      { numRuns: 2000 },
    )
  })
})

import { expect } from 'chai'
import sharp from 'sharp'
import { jpegProblem } from '../../../src/loop/client/jpeg-structure.js'
import { noiseJpeg } from '../../helpers/jpegs.js'

describe('JPEG structure', () => {
  it('finds nothing wrong with whole images of any kind', async () => {
    const pixel = sharp({ create: { width: 1, height: 1, channels: 3, background: '#123456' } })
    const images = [
      await noiseJpeg(),
      await noiseJpeg(64, 48, { progressive: true }),
      await noiseJpeg(64, 48, { quality: 100, chromaSubsampling: '4:4:4' }),
      await sharp(await noiseJpeg())
        .withMetadata({ orientation: 6 })
        .jpeg()
        .toBuffer(),
      await sharp(await noiseJpeg())
        .toColourspace('cmyk')
        .jpeg()
        .toBuffer(),
      await pixel.jpeg().toBuffer(),
      await sharp(await noiseJpeg())
        .grayscale()
        .jpeg()
        .toBuffer(),
    ]

    expect(images.map((image) => jpegProblem(image))).to.deep.equal(images.map(() => undefined))
  })

  it('accepts bytes behind the end, as some cameras add them', async () => {
    expect(jpegProblem(Buffer.concat([await noiseJpeg(), Buffer.from('trailer')]))).to.equal(undefined)
  })

  it('finds every cut of an image', async () => {
    const image = await noiseJpeg(16, 16)
    const cuts = Array.from({ length: image.length }, (_, length) => image.subarray(0, length))

    expect(cuts.filter((cut) => jpegProblem(cut) === undefined)).to.deep.equal([])
  })

  it('names what is wrong', async () => {
    const image = await noiseJpeg()
    const huge = Buffer.from(image)
    const frame = huge.indexOf(Buffer.from([0xff, 0xc0]))
    huge.writeUInt16BE(30_000, frame + 5)
    huge.writeUInt16BE(30_000, frame + 7)

    expect(jpegProblem(Buffer.alloc(0))).to.equal('empty')
    expect(jpegProblem(Buffer.from('{"detail":"not found"}'))).to.equal('not-jpeg')
    expect(jpegProblem(await sharp(image).png().toBuffer())).to.equal('not-jpeg')
    expect(jpegProblem(Buffer.from([0xff, 0xd8, 0xff, 0xd9]))).to.equal('no-image')
    expect(jpegProblem(image.subarray(0, image.length - 2))).to.equal('truncated')
    expect(jpegProblem(Buffer.concat([image.subarray(0, 20), Buffer.alloc(500)]))).to.equal('broken-segment')
    expect(jpegProblem(huge)).to.equal('bad-size')
  })

  it('always comes to an end, whatever it is given', async () => {
    const image = await noiseJpeg(16, 16)
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647
      return seed % below
    }

    for (let round = 0; round < 2000; round += 1) {
      const broken = Buffer.from(image)
      for (let hits = 0; hits < 4; hits += 1)
        broken[2 + random(broken.length - 2)] = random(3) === 0 ? 0xff : random(256)
      jpegProblem(broken)
    }
  })
})

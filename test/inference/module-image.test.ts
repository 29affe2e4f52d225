import { expect } from 'chai'
import sharp from 'sharp'
import { openFastImages } from '../../src/inference/fast-images.js'
import { LentRows } from '../../src/inference/lent-rows.js'
import { toModuleImage } from '../../src/inference/module-image.js'

const fast = await openFastImages((work) => work())
const [red, blue] = await Promise.all(['#ff0000', '#0000ff'].map(plain))

describe('the pixels of an image that a module', () => {
  it('gets are its own, whatever comes after', async () => {
    const rows = new LentRows()
    const first = await imageOf(red, rows).pixels()
    await imageOf(blue, rows).pixels({ borrowed: true })
    await imageOf(blue, rows).pixels()
    expect(first.pixels[0]).to.be.greaterThan(250)
  })

  it('borrows lie where those of the next image will lie', async () => {
    const rows = new LentRows()
    const first = await imageOf(red, rows).pixels({ borrowed: true })
    expect([...first.pixels.subarray(0, 3)].map((level) => level > 250)).to.eql([true, false, false])
    const next = await imageOf(blue, rows).pixels({ borrowed: true })
    expect(next.pixels.buffer).to.equal(first.pixels.buffer)
    expect([...next.pixels.subarray(0, 3)].map((level) => level > 250)).to.eql([false, false, true])
    expect(next).to.include({ width: 32, height: 24, channels: 3 })
  })

  it('borrows are those of another place for another image of the same run', async () => {
    const rows = new LentRows()
    const images = [imageOf(red, rows, 0), imageOf(blue, rows, 1)]
    const [first, second] = await Promise.all(images.map((image) => image.pixels({ borrowed: true })))
    expect(first?.pixels[0]).to.be.greaterThan(250)
    expect(second?.pixels[2]).to.be.greaterThan(250)
  })

  it('has borrowed and then asks for are copied', async () => {
    const image = imageOf(red, new LentRows())
    const lent = await image.pixels({ borrowed: true })
    const own = await image.pixels()
    expect(own.pixels.buffer).not.to.equal(lent.pixels.buffer)
    expect(Buffer.compare(own.pixels, lent.pixels)).to.equal(0)
  })
})

function imageOf(bytes: Buffer | undefined, rows: LentRows, place = 0) {
  const source = { bytes: new Uint8Array(bytes ?? []) }
  return toModuleImage(source, { maxPixels: 1e6, fast: () => fast, lend: rows.at(place) }).image
}

async function plain(background: string): Promise<Buffer> {
  return await sharp({ create: { width: 32, height: 24, channels: 3, background } })
    .jpeg()
    .toBuffer()
}

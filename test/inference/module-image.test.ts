import { expect } from 'chai'
import sharp from 'sharp'
import { openFastImages } from '../../src/inference/fast-images.js'
import { LentRows } from '../../src/inference/lent-rows.js'
import { WrappedImage } from '../../src/inference/module-image.js'
import { rejection } from './rejection.js'

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

describe('an image, after the answer of a module', () => {
  it('is taken back if only borrowed rows were asked of it, and then good for nothing', async () => {
    const image = imageOf(red, new LentRows())
    await image.pixels({ borrowed: true })
    expect(image.takeBack()).to.have.property('bytes')
    for (const ask of [image.bytes, image.pixels]) {
      const thrown = await ask().then(String, String)
      expect(thrown).to.match(/^Error: .* until the answer/)
    }
  })

  it('stays with a module that may still hold it', async () => {
    const asks: readonly ((image: WrappedImage) => unknown)[] = [
      () => undefined,
      (image) => image.source,
      (image) => image.bytes(),
      (image) => image.pixels(),
    ]
    for (const ask of asks) {
      const image = imageOf(red, new LentRows())
      await ask(image)
      if (ask !== asks[0]) await image.pixels({ borrowed: true })
      expect(image.takeBack()).to.equal(undefined)
      expect((await image.bytes())?.byteLength).to.be.greaterThan(0)
    }
  })

  it('stays where it is still being read, or could not be', async () => {
    const unread = imageOf(red, new LentRows())
    const reading = unread.pixels({ borrowed: true })
    expect(unread.takeBack()).to.equal(undefined)
    await reading

    const broken = imageOf(Buffer.from('no image'), new LentRows())
    await rejection(broken.pixels({ borrowed: true }))
    expect(broken.takeBack()).to.equal(undefined)
  })
})

function imageOf(bytes: Buffer | undefined, rows: LentRows, place = 0) {
  const source = { bytes: new Uint8Array(bytes ?? []) }
  return new WrappedImage(source, { maxPixels: 1e6, fast: () => fast, lend: rows.at(place) })
}

async function plain(background: string): Promise<Buffer> {
  return await sharp({ create: { width: 32, height: 24, channels: 3, background } })
    .jpeg()
    .toBuffer()
}

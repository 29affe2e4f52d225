import { expect } from 'chai'
import sharp from 'sharp'
import { WrappedImage } from '../../src/inference/module-image.js'
import { rejection } from './rejection.js'

const red = await plain('#ff0000')

describe('an image, after the answer of a module', () => {
  it('is given back with its rows if only borrowed rows were asked of it, and then good for nothing', async () => {
    const image = imageOf(red)
    const rows = await image.pixels({ borrowed: true })

    const given = image.takeBack()

    expect(given).to.have.lengthOf(2)
    expect(given[0]).to.have.property('bytes')
    expect(given[1]).to.have.property('pixels', rows.pixels)
    for (const ask of [image.bytes, image.pixels]) {
      const thrown = await ask().then(String, String)
      expect(thrown).to.match(/^Error: .* until the answer/)
    }
  })

  it('is given back once when its rows are those that came', async () => {
    const image = new WrappedImage({ pixels: new Uint8Array(12), width: 2, height: 2, channels: 3 }, 1e6)
    await image.pixels({ borrowed: true })

    expect(image.takeBack()).to.have.lengthOf(1)
  })

  it('stays with a module that may still hold it', async () => {
    const asks: readonly ((image: WrappedImage) => unknown)[] = [
      () => undefined,
      (image) => image.source,
      (image) => image.bytes(),
      (image) => image.pixels(),
    ]
    for (const ask of asks) {
      const image = imageOf(red)
      await ask(image)
      if (ask !== asks[0]) await image.pixels({ borrowed: true })
      expect(image.takeBack()).to.deep.equal([])
      expect((await image.bytes())?.byteLength).to.be.greaterThan(0)
    }
  })

  it('stays where it is still being read, or could not be', async () => {
    const unread = imageOf(red)
    const reading = unread.pixels({ borrowed: true })
    expect(unread.takeBack()).to.deep.equal([])
    await reading

    const broken = imageOf(Buffer.from('no image'))
    await rejection(broken.pixels({ borrowed: true }))
    expect(broken.takeBack()).to.deep.equal([])
  })
})

function imageOf(bytes: Buffer) {
  return new WrappedImage({ bytes: new Uint8Array(bytes) }, 1e6)
}

async function plain(background: string): Promise<Buffer> {
  return await sharp({ create: { width: 32, height: 24, channels: 3, background } })
    .jpeg()
    .toBuffer()
}

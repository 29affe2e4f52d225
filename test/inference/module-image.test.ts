import { expect } from 'chai'
import sharp from 'sharp'
import { WrappedImage } from '../../src/inference/module-image.js'
import { rejection } from './rejection.js'

const red = await plain('#ff0000')

describe('an image, after the answer of a module', () => {
  it('is given back if only borrowed rows were asked of it, and then good for nothing', async () => {
    const image = imageOf(red)
    await image.pixels({ borrowed: true })

    const given = image.takeBack()

    expect(given).to.have.lengthOf(1)
    expect(given[0]).to.have.property('bytes')
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

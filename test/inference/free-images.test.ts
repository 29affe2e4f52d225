import { expect } from 'chai'
import { freeImages } from '../../src/inference/free-images.js'

const MIB = 2 ** 20

describe('The memory of images', () => {
  it('is free at once, whatever kind of image it is', () => {
    const bytes = new Uint8Array(64 * MIB)
    const pixels = new Uint8Array(48 * MIB)
    const before = process.memoryUsage().arrayBuffers

    freeImages([{ bytes }, { path: 'in-a-file.jpg' }, { pixels, width: 4096, height: 4096, channels: 3 }])

    expect([bytes.byteLength, pixels.byteLength]).to.eql([0, 0])
    expect(before - process.memoryUsage().arrayBuffers).to.equal(112 * MIB)
  })

  it('may be none', () => {
    freeImages([])
    freeImages([{ path: 'in-a-file.jpg' }])
  })
})

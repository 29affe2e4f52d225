import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { readFileSize } from '../../src/images/file-size.js'
import { rejection } from '../inference/rejection.js'

const image = (name: string) => fileURLToPath(new URL(`../fixtures/pixels/${name}`, import.meta.url))

describe('The size of an image file', () => {
  it('is that of the picture as it is seen', async () => {
    for (const format of ['jpg', 'png', 'webp']) {
      expect(await readFileSize(image(`turned-3.${format}`))).to.deep.equal({ width: 61, height: 47 })
      expect(await readFileSize(image(`turned-8.${format}`))).to.deep.equal({ width: 47, height: 61 })
    }
  })

  it('is refused with the path of what is no image', async () => {
    const error = await rejection(readFileSize(image('reference.json')))

    expect(error.code).to.equal('LF_IMAGE_UNREADABLE')
    expect(error.message).to.contain('reference.json')
  })
})

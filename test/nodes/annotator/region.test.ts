import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { readRegion } from '../../../src/nodes/annotator/tools/segmentation/region.js'
import { rejection } from '../../inference/rejection.js'

const image = (name: string) => fileURLToPath(new URL(`../../fixtures/pixels/${name}`, import.meta.url))
const request = (imagePath: string, box: { x: number; y: number; width: number; height: number }) => {
  return { imagePath, box, strokes: [], outline: undefined, epsilon: null }
}

describe('The region of an image that the segmentation tool reads', () => {
  it('lies where the image shows it when EXIF data turn it', async () => {
    const upright = await readRegion(request(image('turned-1.png'), { x: 3, y: 5, width: 4, height: 6 }))
    // Orientation 6 turns the stored picture clockwise: the row becomes a column from the right.
    const turned = await readRegion(request(image('turned-6.png'), { x: 47 - 5 - 6, y: 3, width: 6, height: 4 }))

    expect(turned).to.include({ width: upright?.height, height: upright?.width })
    const at = (region: typeof upright, x: number, y: number) => {
      const from = 3 * ((y - (region?.y ?? 0)) * (region?.width ?? 0) + x - (region?.x ?? 0))
      return [...(region?.pixels.subarray(from, from + 3) ?? [])]
    }
    expect(at(turned, 47 - 1 - 5, 3)).to.deep.equal(at(upright, 3, 5))
    expect(at(turned, 47 - 1 - 8, 6)).to.deep.equal(at(upright, 6, 8))
  })

  it('is read of every JPEG that the detector reads, and refused of others', async () => {
    const box = { x: 1, y: 1, width: 8, height: 8 }

    for (const name of ['samsung_sos.jpg', 'cmyk.jpg', 'grey.jpg', 'progressive.jpg']) {
      expect((await readRegion(request(image(name), box)))?.pixels.length).to.be.greaterThan(0)
    }
    const error = await rejection(readRegion(request(image('reference.json'), box)))
    expect(error.code).to.equal('LF_IMAGE_UNREADABLE')
  })
})

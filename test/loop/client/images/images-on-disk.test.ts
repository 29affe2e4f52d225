import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { sortByPresence } from '../../../../src/loop/client/images/images-on-disk.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'

describe('the images on disk', () => {
  const folder = useTemporaryFolder()

  it('are told from those that are not there, each once and in order, also when they are many', async () => {
    const ids = Array.from({ length: 5000 }, (_, index) => `image-${index}`)
    const isThere = (index: number) => index % 3 === 0
    await Promise.all(
      ids.map(async (id, index) => isThere(index) && (await writeFile(join(folder.path, `${id}.jpg`), ''))),
    )
    await writeFile(join(folder.path, 'image-1.png'), '')

    const { available, absent } = await sortByPresence(folder.path, [...ids, ...ids.slice(0, 10)])

    expect(available).to.deep.equal(ids.filter((_, index) => isThere(index)))
    expect(absent).to.deep.equal(ids.filter((_, index) => !isThere(index)))
  })
})

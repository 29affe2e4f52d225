import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { readBestMetrics } from '../../../../src/executors/training/adapters/best-metrics.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { category } from '../../support.js'

describe('counts of a best model', () => {
  const folder = useTemporaryFolder()
  const categories = [category('c1', 'cat'), category('c2', 'dog'), category('c3', 'cat')]
  const counts = { tp: 8, fp: 1, fn: 2 }

  async function read(text: string) {
    const path = join(folder.path, 'epoch1.json')
    await writeFile(path, text)
    return readBestMetrics(path, categories)
  }

  it('are keyed by category id, those of a name that is there twice by the first', async () => {
    const found = await read(JSON.stringify({ cat: counts, dog: { ...counts, map: 0.5 } }))

    expect(found).to.deep.equal({ matrix: { c1: counts, c2: counts }, ignored: [] })
  })

  it('are left out where they are none, with the name', async () => {
    const found = await read('{"cat": {"tp": 8.0, "fp": 1, "fn": 2}, "dog": {"tp": NaN, "fp": 0, "fn": 1}, "true": {}}')

    expect(found).to.deep.equal({ matrix: { c1: counts }, ignored: ['dog', 'true'] })
  })

  it('of no category are empty, which is unknown', async () => {
    expect(await read('{}')).to.deep.equal({ matrix: {}, ignored: [] })
    expect(await read('{"all": {"tp": 1, "fp": 1, "fn": 1}}')).to.deep.equal({ matrix: {}, ignored: ['all'] })
  })

  for (const text of ['', '{"cat": {"tp": 8', '[]', 'null', '7', 'no JSON']) {
    it(`are not there while the file holds ${JSON.stringify(text)}`, async () => {
      expect(await read(text)).to.equal(undefined)
    })
  }

  it('are not there without a file', async () => {
    expect(await readBestMetrics(join(folder.path, 'missing.json'), categories)).to.equal(undefined)
  })
})

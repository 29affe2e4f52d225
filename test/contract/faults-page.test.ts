import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { packageRoot } from '../cli/run-cli.js'

const PAGES = ['docs/reference/faults.md', 'docs/reference/detector-faults.md']
const ROW = /^\|.*\| `(test\/[^`]+\.test\.ts)`: (.+) \|$/
const SHORTEST_TITLE = 12

describe('the pages of faults', () => {
  for (const page of PAGES)
    it(`name for each fault a test that is there, in ${page}`, async () => {
      const rows = (await readFile(join(packageRoot, page), 'utf8')).split('\n').filter((line) => line.startsWith('|'))
      const faults = rows.filter((row) => !/^\|(---|\s*(fault|case) \|)/.test(row))
      const missing: string[] = []
      for (const row of faults) {
        const [, file = '', title = ''] = ROW.exec(row) ?? []
        if (title.length < SHORTEST_TITLE || !(await hasTest(join(packageRoot, file), title))) missing.push(row)
      }

      expect(faults.length).to.be.above(50)
      expect(missing).to.deep.equal([])
    })
})

async function hasTest(file: string, title: string): Promise<boolean> {
  const isThere = await access(file).then(
    () => true,
    () => false,
  )
  if (!isThere) return false
  const source = await readFile(file, 'utf8')
  return ["'", '`', '"'].some((quote) => source.includes(`it(${quote}${title}`))
}

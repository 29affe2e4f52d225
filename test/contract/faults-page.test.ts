import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { packageRoot } from '../cli/run-cli.js'

/** With the least number of rows: a page whose rows are not read has none. */
const PAGES = [
  ['docs/reference/faults.md', 50],
  ['docs/reference/detector-faults.md', 50],
  ['docs/reference/blame.md', 8],
] as const
const ROW = /^\|.*\| `(test\/[^`]+\.test\.ts)`: (.+) \|$/
const SHORTEST_TITLE = 12

describe('the pages of faults', () => {
  for (const [page, least] of PAGES)
    it(`name for each fault a test that is there, in ${page}`, async () => {
      const rows = (await readFile(join(packageRoot, page), 'utf8')).split('\n').filter((line) => line.startsWith('|'))
      const faults = rows.filter((row) => !/^\|(---|\s*(fault|case|cause) \|)/.test(row))
      const missing: string[] = []
      for (const row of faults) {
        const [, file = '', title = ''] = ROW.exec(row) ?? []
        if (title.length < SHORTEST_TITLE || !(await hasTest(join(packageRoot, file), title))) missing.push(row)
      }

      expect(faults.length).to.be.above(least)
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

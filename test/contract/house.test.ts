import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { projectRoot } from '../helpers/project-root.js'

const COPIED = `export function total(prices: readonly number[], taxes: readonly number[]): number {
  const sum = prices.reduce((all, price) => all + price, 0)
  const tax = taxes.reduce((all, rate) => all + sum * rate, 0)
  if (sum < 0 || tax < 0) throw new Error('negative: ' + sum + ' and ' + tax)
  return Math.round((sum + tax) * 100) / 100
}
`

describe('the laws of the house', function () {
  this.timeout(60_000)

  it('hold for a block that stands twice in one room', async () => {
    expect(await brokenBy({ 'src/queue/a.ts': COPIED, 'src/queue/b.ts': COPIED })).to.deep.equal([])
  })

  it('refuse a block that stands in two rooms', async () => {
    const broken = await brokenBy({ 'src/queue/a.ts': COPIED, 'src/workers/b.ts': `\n${COPIED}` })

    expect(broken).to.have.lengthOf(1)
    expect(broken[0]).to.match(
      /^src\/(queue\/a\.ts:1 and src\/workers\/b\.ts:2|workers\/b\.ts:2 and src\/queue\/a\.ts:1) share \d+ tokens$/,
    )
  })

  it('let the local Loop resemble the Loop client', async () => {
    expect(await brokenBy({ 'src/mock/loop/a.ts': COPIED, 'src/loop/client/b.ts': COPIED })).to.deep.equal([])
  })
})

/** What the check writes of a checkout with these files; its exit code goes with it. */
async function brokenBy(files: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-house-test-'))
  try {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), text)
    }
    const script = join(projectRoot(), 'scripts/house.mjs')
    const { stderr, status } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' })
    const broken = stderr.split('\n').filter((line) => line !== '')
    expect(status).to.equal(broken.length === 0 ? 0 : 1)
    return broken
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { expect } from 'chai'
import { projectRoot } from '../helpers/project-root.js'

/** A house of four rooms that keeps the laws; each case breaks one of them. */
const HOUSE = {
  'src/base/index.ts': "export { a } from './a.js'\n",
  'src/base/a.ts': 'export const a = 1\n',
  'src/queue/index.ts': "export { record } from './records/record.js'\n",
  'src/queue/jobs/job.ts': "import { a } from '../../base/index.js'\n\nexport const job = a\n",
  'src/queue/records/record.ts': "import { job } from '../jobs/job.js'\n\nexport const record = job\n",
  'src/queue/redis/index.ts': "export { link } from './link.js'\n",
  'src/queue/redis/link.ts': 'export const link = 2\n',
  'src/workers/index.ts': "export { work } from './work.js'\n",
  'src/workers/work.ts':
    "import { record } from '../queue/index.js'\nimport { link } from '../queue/redis/index.js'\n\nexport const work = [record, link]\n",
}

describe('the laws of import', function () {
  this.timeout(60_000)

  it('hold for a house in which each room imports what doors name', async () => {
    expect(await brokenBy({})).to.deep.equal([])
  })

  it('refuse an import past the door of a room', async () => {
    const broken = await brokenBy({ 'src/workers/work.ts': "export { record } from '../queue/records/record.js'\n" })

    expect(broken).to.deep.equal(['door-of-queue'])
  })

  it('refuse an import past the door of a room within a room', async () => {
    const broken = await brokenBy({ 'src/queue/jobs/job.ts': "export { link as job } from '../redis/link.js'\n" })

    expect(broken).to.deep.equal(['door-of-queue-redis'])
  })

  it('refuse a lazy import and an import of types past a door', async () => {
    const broken = await brokenBy({
      'src/workers/work.ts': "export const work = import('../queue/records/record.js')\n",
      'src/workers/more.ts': "export type { a } from '../base/a.js'\n",
    })

    expect(broken).to.deep.equal(['door-of-base', 'door-of-queue'])
  })

  it('refuse a room that may not be imported, also through its door', async () => {
    const broken = await brokenBy({ 'src/queue/jobs/job.ts': "export { work as job } from '../../workers/index.js'\n" })

    expect(broken).to.include('queue-imports')
  })

  it('refuse an import against the arrows within a room', async () => {
    const broken = await brokenBy({
      'src/queue/jobs/job.ts': "export { more as job } from '../records/more.js'\n",
      'src/queue/records/more.ts': 'export const more = 3\n',
    })

    expect(broken).to.deep.equal(['queue-part-jobs'])
  })
})

/** The names of the laws that the house breaks with these files in it. */
async function brokenBy(files: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-rooms-'))
  try {
    for (const law of ['.dependency-cruiser.cjs', 'scripts/rooms.cjs'])
      await cp(join(projectRoot(), law), join(folder, law))
    for (const [file, text] of Object.entries({ ...HOUSE, ...files })) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), text)
    }
    const cruiser = join(projectRoot(), 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
    const args = ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json']
    const { stdout } = spawnSync(process.execPath, [cruiser, ...args], { cwd: folder, encoding: 'utf8' })
    const violations: { rule: { name: string } }[] = JSON.parse(stdout).summary.violations
    return [...new Set(violations.map(({ rule }) => rule.name))].sort()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

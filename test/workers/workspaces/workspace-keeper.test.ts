import { link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { TrainingRecord } from '../../../src/queue/trainings/training-record.js'
import { createWorkspaceKeeper, type WorkspaceKeeperOptions } from '../../../src/workers/workspaces/workspace-keeper.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { aRecord } from '../a-training.js'

const DAY = 86_400_000
const NOW = 100 * DAY

describe('the workspace keeper', () => {
  const folder = useTemporaryFolder()
  let records: Map<string, TrainingRecord>
  beforeEach(() => {
    records = new Map()
  })

  async function aWorkspace(
    id: string,
    change: Partial<TrainingRecord> | undefined,
    { bytes = 10, project = 'pets' } = {},
  ) {
    const path = join(folder.path, 'acme', project, 'trainings', id)
    await mkdir(join(path, 'dataset'), { recursive: true })
    await writeFile(join(path, 'dataset', 'file'), Buffer.alloc(bytes))
    if (change !== undefined) records.set(id, aRecord({ id, ...change }))
    return path
  }

  const ended = (outcome: 'completed' | 'aborted' | 'failed', daysAgo = 1): Partial<TrainingRecord> => ({
    outcome,
    endedAt: NOW - daysAgo * DAY,
  })

  async function tidy(
    beginning?: string,
    change: Partial<WorkspaceKeeperOptions> & { active?: string; load?: (id: string) => Promise<undefined> } = {},
  ): Promise<string[]> {
    const { active, load, ...options } = change
    const keeper = createWorkspaceKeeper(
      { dataFolder: folder.path, keepOld: false, keepFailedMs: 14 * DAY, maxBytes: 0, ...options },
      {
        records: { load: load ?? (async (id) => records.get(id)) },
        isActive: (id) => id === active,
        now: () => NOW,
        log: silentLogger(),
      },
    )
    keeper.tidy(beginning === undefined ? undefined : { organization: 'acme', project: beginning })
    await keeper.settled()
    await keeper.close()
    return left()
  }

  async function left(): Promise<string[]> {
    const projects = await readdir(join(folder.path, 'acme'))
    const ids = await Promise.all(projects.map((name) => readdir(join(folder.path, 'acme', name, 'trainings'))))
    return ids.flat().sort()
  }

  it('clears completed ones of a project when its next training begins', async () => {
    await aWorkspace('a1', ended('completed'))
    await aWorkspace('b1', ended('completed'), { project: 'cars' })
    await aWorkspace('c1', { endedAt: null })

    expect(await tidy()).to.deep.equal(['a1', 'b1', 'c1'])
    expect(await tidy('pets')).to.deep.equal(['b1', 'c1'])
  })

  it('names those without a record, but not the ones that their host names already', async () => {
    const path = await aWorkspace('a1', undefined)
    const reported = await aWorkspace('b1', undefined)
    const keeper = createWorkspaceKeeper(
      { dataFolder: folder.path, keepOld: false, keepFailedMs: DAY, maxBytes: 0 },
      {
        ...{ records: { load: async () => undefined }, isActive: () => false, now: () => NOW, log: silentLogger() },
        isReported: (each) => each === reported,
      },
    )

    keeper.tidy(undefined)
    await keeper.settled()
    await keeper.close()

    expect(keeper.errors).to.have.lengthOf(1)
    expect(keeper.errors[0]).to.contain(`the training in ${path};`)
  })

  it('keeps completed ones when it is told to', async () => {
    await aWorkspace('a1', ended('completed', 50))

    expect(await tidy('pets', { keepOld: true })).to.deep.equal(['a1'])
  })

  it('clears aborted ones whenever it looks, as those that were aborted while their host was away', async () => {
    await aWorkspace('a1', ended('aborted'))
    await aWorkspace('b1', ended('aborted'), { project: 'cars' })

    expect(await tidy(undefined, { keepOld: true })).to.deep.equal([])
  })

  it('keeps failed ones for a retry until they are too old', async () => {
    await aWorkspace('a1', ended('failed', 13))
    await aWorkspace('b1', ended('failed', 15))

    expect(await tidy('pets')).to.deep.equal(['a1'])
  })

  it('clears the folders of conversions by the same rules, and of nothing else', async () => {
    await aWorkspace('a1', ended('failed', 15))
    for (const id of ['c1', 'c2'])
      await mkdir(join(folder.path, 'acme', 'pets', 'conversions', id), { recursive: true })
    records.set('c1', aRecord({ id: 'c1', ...ended('failed', 15) }))
    records.set('c2', aRecord({ id: 'c2', ...ended('failed', 13) }))

    expect(await tidy(undefined, { of: 'conversions' })).to.deep.equal(['a1'])
    expect(await readdir(join(folder.path, 'acme', 'pets', 'conversions'))).to.deep.equal(['c2'])
  })

  it('keeps to the limit of bytes by clearing those that ended first', async () => {
    await aWorkspace('a1', ended('failed', 3), { bytes: 400 })
    await aWorkspace('b1', ended('completed', 4), { bytes: 400, project: 'cars' })
    await aWorkspace('c1', ended('failed', 2), { bytes: 400 })
    await aWorkspace('d1', { endedAt: null }, { bytes: 4000 })

    expect(await tidy('pets', { maxBytes: 1200 })).to.deep.equal(['a1', 'b1', 'c1', 'd1'])
    expect(await tidy('pets', { maxBytes: 1000 })).to.deep.equal(['a1', 'c1', 'd1'])
    expect(await tidy('pets', { maxBytes: 1 })).to.deep.equal(['d1'])
  })

  it('counts what clearing would free: images that the cache holds too count less', async () => {
    const path = await aWorkspace('a1', ended('failed'), { bytes: 0 })
    await writeFile(join(folder.path, 'image.jpg'), Buffer.alloc(1000))
    await link(join(folder.path, 'image.jpg'), join(path, 'image.jpg'))

    expect(await tidy('pets', { maxBytes: 600 })).to.deep.equal(['a1'])
    expect(await tidy('pets', { maxBytes: 400 })).to.deep.equal([])
  })

  it('leaves one alone that its worker still has, or that is retried meanwhile', async () => {
    await aWorkspace('a1', ended('aborted'))
    await aWorkspace('b1', ended('completed'))

    expect(await tidy('pets', { active: 'a1' })).to.deep.equal(['a1'])
  })

  it('leaves everything alone that it cannot ask about', async () => {
    await aWorkspace('a1', ended('aborted'))

    const load = () => Promise.reject(new Error('Redis is away'))
    expect(await tidy('pets', { load })).to.deep.equal(['a1'])
  })

  it('keeps one that the journal does not know, however old and large it is', async () => {
    await aWorkspace('a1', undefined)

    expect(await tidy('pets', { keepFailedMs: -1e15 })).to.deep.equal(['a1'])
    expect(await tidy('pets', { maxBytes: 1 })).to.deep.equal(['a1'])
  })

  it('does not touch what is no workspace of ours: other folders, files, links and trainings of Python nodes', async () => {
    const kept = await aWorkspace('a1', ended('failed'))
    const trainings = join(kept, '..')
    await mkdir(join(trainings, '0b0e4c7a-6a3e-4b0a-9a55-0d5c7d4c1c11'))
    await mkdir(join(folder.path, 'elsewhere', 'b1'), { recursive: true })
    await symlink(join(folder.path, 'elsewhere', 'b1'), join(trainings, 'b1'))
    await writeFile(join(trainings, 'c1'), '')
    records.set('b1', aRecord({ id: 'b1', ...ended('aborted') }))
    records.set('c1', aRecord({ id: 'c1', ...ended('aborted') }))
    const before = await left()

    expect(await tidy('pets')).to.deep.equal(before)
    expect(await readdir(join(folder.path, 'elsewhere'))).to.deep.equal(['b1'])
  })

  it('does nothing in a data folder that is not there yet', async () => {
    await mkdir(join(folder.path, 'acme'))

    expect(await tidy('pets', { dataFolder: join(folder.path, 'none') })).to.deep.equal([])
  })
})

import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { RunSupersededError } from '../../../src/base/abort-reasons.js'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { type Checkpoints, createCheckpoints } from '../../../src/workers/checkpoints/checkpoints.js'
import { markOf } from '../../../src/workers/checkpoints/contents.js'
import { forgetEnded } from '../../../src/workers/checkpoints/store.js'
import { withLittleRoom } from '../../helpers/little-room.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

const ID = 'training1'
const rulesFor = (resume_when: string) => ({ train: { scratch: ['python', 'train.py'], resume_when } }) as const
/** The content of a JSON file says whether it is whole, so it need not rest for two seconds before it is packed. */
const [WHOLE, UNKNOWN] = ['checkpoints/last.json', 'checkpoints/last.pt'] as const
const model = (epoch: number) => ({ event: 'model', epoch, files: {}, confusion_matrix: {} }) as const

/** A take of the training on a host of its own. */
type Take = {
  readonly checkpoints: Checkpoints
  readonly said: string[]
  readonly path: (name: string) => string
  /** As a program that ends an epoch: a new best model, then a new checkpoint under its old name. */
  epoch(epoch: number, more?: string): Promise<void>
  content(): Promise<string | undefined>
}

describe('checkpoints in a shared folder', () => {
  const folder = useTemporaryFolder()
  let takes: Take[]
  const shared = (...names: string[]) => join(folder.path, 'shared', ...names)
  const listed = async () => (await readdir(shared(ID)).catch(() => [])).sort()

  beforeEach(async () => {
    takes = []
    await mkdir(shared())
  })
  afterEach(async () => {
    for (const take of takes) await take.checkpoints.close()
  })

  async function aTake(
    host: string,
    run: number,
    options: { checkFence?: () => Promise<void>; everyMs?: number; checkpoint?: string } = {},
  ) {
    const workspace = join(folder.path, host)
    const path = (name: string) => join(workspace, name)
    const said: string[] = []
    await mkdir(path('checkpoints'), { recursive: true })
    const { everyMs = 20, checkFence = async () => undefined, checkpoint = WHOLE } = options
    const rules = rulesFor(checkpoint)
    const checkpoints = createCheckpoints(
      { folder: shared(), trainingId: ID, run, workspace, rules, everyMs },
      { checkFence, endSignal: new AbortController().signal, log: silentLogger() },
    )
    const take: Take = {
      checkpoints,
      said,
      path,
      async epoch(epoch, more = '') {
        const set = path(`models/${String(epoch).padStart(6, '0')}`)
        await mkdir(set, { recursive: true })
        await writeFile(join(set, 'model.bin'), `model of epoch ${epoch}`)
        await writeFile(path('new.json'), JSON.stringify(`state of epoch ${epoch}${more}`))
        await rename(path('new.json'), path(checkpoint))
        checkpoints.saw({ event: 'progress', epoch, progress: null, epochs: null, message: null })
      },
      content: () => readFile(path(checkpoint), 'utf8').catch(() => undefined),
    }
    takes.push(take)
    return take
  }

  const restore = (take: Take) => take.checkpoints.restore((line) => take.said.push(line))
  const follow = (take: Take) => take.checkpoints.follow((line) => take.said.push(line))
  const packed = (take: Take, epoch: number) =>
    until(`epoch ${epoch} is packed`, () => take.said.some((line) => line.startsWith(`checkpoint of epoch ${epoch} `)))

  /** A host that has packed these epochs and died. */
  async function aHostThatPacked(run: number, ...epochs: number[]): Promise<Take> {
    const take = await aTake(`host-of-run-${run}`, run)
    await follow(take)
    for (const epoch of epochs) {
      await take.epoch(epoch)
      await packed(take, epoch)
    }
    await take.checkpoints.close()
    return take
  }

  it('bring checkpoint, models and events to a host that has nothing', async () => {
    const first = await aTake('a', 1)
    await writeFile(first.path('events.jsonl'), '{"event":"progress","epoch":1}\n')
    await writeFile(first.path('large-dataset.bin'), 'stays')
    await follow(first)
    await first.epoch(1)
    await packed(first, 1)
    const second = await aTake('b', 2)

    const restored = await restore(second)

    expect(restored).to.include({ epoch: 1, run: 1, finished: null })
    expect(await second.content()).to.equal('"state of epoch 1"')
    expect(await readFile(second.path('models/000001/model.bin'), 'utf8')).to.equal('model of epoch 1')
    expect(await readFile(second.path('events.jsonl'), 'utf8')).to.equal('{"event":"progress","epoch":1}\n')
    expect(await readdir(second.path('.'))).to.have.members([
      'checkpoints',
      'models',
      'events.jsonl',
      '.checkpoint-run.json',
    ])
  })

  it('are the newest two, each a tar with its marker', async () => {
    await aHostThatPacked(1, 1, 2, 3, 4)

    expect(await listed()).to.deep.equal([
      '000001-000003.json',
      '000001-000003.tar',
      '000001-000004.json',
      '000001-000004.tar',
    ])
  })

  it('that resumes have failed with are passed over, here and on other hosts, until there is none', async () => {
    const first = await aHostThatPacked(1, 1, 2)
    const mark = await markOf(first.path('.'), rulesFor(WHOLE), null)
    const second = await aTake('b', 2)

    const older = await second.checkpoints.restore(() => undefined, { failed: new Set([mark]) })
    const none = await second.checkpoints.restoreEarlier(() => undefined, {
      failed: new Set([mark, older?.mark ?? '']),
    })

    expect(older?.epoch).to.equal(1)
    expect(await second.content()).to.equal('"state of epoch 1"')
    expect(none).to.equal(undefined)
  })

  it('are packed once per new checkpoint, and not for one that lay there before', async () => {
    const take = await aTake('a', 1)
    await take.epoch(1)
    await follow(take)
    await sleep(400) // nothing may happen in it

    expect(await listed()).to.deep.equal([])

    await take.epoch(2)
    await packed(take, 2)
    await sleep(400)
    expect(await listed()).to.deep.equal(['000001-000001.json', '000001-000001.tar'])
  })

  it('are packed at a new best model without waiting for their time', async () => {
    const take = await aTake('a', 1, { everyMs: 3_600_000 })
    await follow(take)
    await take.epoch(1)
    take.checkpoints.saw(model(1))
    await packed(take, 1)
    await take.epoch(2)

    take.checkpoints.saw(model(2))

    await packed(take, 2)
  })

  for (const [what, breakIt] of [
    ['a torn tar', () => truncate(shared(ID, '000001-000002.tar'), 1000)],
    ['a tar of the right size with other bytes', () => spoilByte(shared(ID, '000001-000002.tar'))],
    ['a tar that is gone', () => rm(shared(ID, '000001-000002.tar'))],
    ['a tar whose marker was never written', () => rm(shared(ID, '000001-000002.json'))],
    ['a marker that is half written', () => truncate(shared(ID, '000001-000002.json'), 20)],
    ['a marker of another run', () => spoilRun(shared(ID, '000001-000002.json'))],
  ] as const) {
    it(`fall back on the one before when there is ${what}`, async () => {
      await aHostThatPacked(1, 1, 2)
      await breakIt()
      const other = await aTake('b', 2)

      const restored = await restore(other)

      expect(restored).to.include({ epoch: 1 })
      expect(await other.content()).to.equal('"state of epoch 1"')
      if (!what.includes('never')) expect(other.said[0]).to.match(/^packed checkpoint 000001-000002 is not used: /)
    })
  }

  it('are missed by no stop: a folder that is not there is an error then, a checkpoint that is broken is none', async () => {
    await aHostThatPacked(1, 1, 2)
    await spoilByte(shared(ID, '000001-000002.tar'))
    const other = await aTake('b', 2)
    await rename(shared(), `${shared()}-not-mounted`)

    const error = await rejection(other.checkpoints.restore(() => undefined, { mustRead: true }))
    await rename(`${shared()}-not-mounted`, shared())
    const restored = await other.checkpoints.restore(() => undefined, { mustRead: true })

    expect(error).to.include({ code: 'LF_PATH_UNUSABLE', failure: 'transient' })
    expect(restored).to.include({ epoch: 1 })
  })

  it('leave the workspace as it is when none is whole', async () => {
    await aHostThatPacked(1, 1)
    await spoilByte(shared(ID, '000001-000001.tar'))
    const other = await aTake('b', 2)

    expect(await restore(other)).to.equal(undefined)
    expect(await readdir(other.path('.'))).to.deep.equal(['checkpoints'])
  })

  it('do not replace what the host itself has of the same run', async () => {
    const take = await aHostThatPacked(1, 1)
    await take.epoch(2)
    const again = await aTake('host-of-run-1', 2)

    expect(await restore(again)).to.equal(undefined)
    expect(await again.content()).to.equal('"state of epoch 2"')
  })

  it('replace what the host has of an earlier run, models and all', async () => {
    const old = await aHostThatPacked(1, 1)
    await old.epoch(2)
    const other = await aTake('host-of-run-2', 2)
    await restore(other)
    await aHostThatPacked(2, 5)
    const back = await aTake('host-of-run-1', 3)

    expect(await restore(back)).to.include({ run: 2, epoch: 5 })
    expect(await back.content()).to.equal('"state of epoch 5"')
    expect(await readdir(back.path('models'))).to.have.members(['000001', '000005'])
  })

  it('are restored again when a kill came in the middle of restoring', async () => {
    await aHostThatPacked(1, 3)
    const other = await aTake('b', 2)
    await restore(other)
    await rm(other.path(WHOLE))
    await mkdir(other.path('.checkpoint-restore/files'), { recursive: true })

    expect(await restore(await aTake('b', 3))).to.include({ epoch: 3 })
    expect(await other.content()).to.equal('"state of epoch 3"')
  })

  it('of a run that was superseded get no marker', async () => {
    const checkFence = () => Promise.reject(new RunSupersededError({ trainingId: ID, run: 1 }))
    const late = await aTake('a', 1, { checkFence })
    await follow(late)

    await late.epoch(7)
    await sleep(500) // in which it would have been packed

    expect((await listed()).filter((name) => name.endsWith('.json'))).to.deep.equal([])
    expect(late.said).to.deep.equal([])
  })

  it('that an older run packs late never win over those of a newer one', async () => {
    const late = await aTake('a', 1)
    await follow(late)
    await aHostThatPacked(2, 3)

    await late.epoch(9)
    await packed(late, 9)

    const third = await aTake('c', 3)
    expect(await restore(third)).to.include({ run: 2, epoch: 3 })
  })

  it('are whole although the program writes its checkpoint in place, bit by bit', async () => {
    const take = await aTake('a', 1, { checkpoint: UNKNOWN })
    await follow(take)
    for (const digit of ['1', '2', '3']) {
      await writeFile(take.path(UNKNOWN), '')
      for (let part = 0; part < 25; part += 1) {
        await writeFile(take.path(UNKNOWN), digit.repeat(10_000), { flag: 'a' })
        await sleep(10)
      }
      await sleep(100)
    }
    await until('something is packed', () => take.said.some((line) => line.includes(' packed for other hosts')))
    await take.checkpoints.close()
    const other = await aTake('b', 2, { checkpoint: UNKNOWN })
    await restore(other)

    expect((await other.content())?.length).to.equal(250_000)
    expect(new Set(await other.content())).to.have.lengthOf(1)
  })

  for (const [what, prepare] of [
    ['does not exist', () => rm(shared(), { recursive: true })],
    ['is none', () => rm(shared(), { recursive: true }).then(() => writeFile(shared(), ''))],
  ] as const) {
    it(`are warned of once and harm nothing when the folder ${what}`, async () => {
      await prepare()
      const take = await aTake('a', 1)

      expect(await restore(take)).to.equal(undefined)
      await follow(take)
      for (const epoch of [1, 2]) {
        await take.epoch(epoch)
        take.checkpoints.saw(model(epoch))
        await sleep(300)
      }
      await take.checkpoints.handBack()

      const warnings = take.said.filter((line) => line.startsWith('checkpoint not packed, the training goes on: '))
      expect(warnings).to.have.lengthOf(1)
      expect(await readdir(take.path('.'))).not.to.include('.checkpoint-copy')
    })
  }

  it('that find no room leave the one before whole, and are packed once there is room', async () => {
    await withLittleRoom(shared(), 200_000, async () => {
      const take = await aTake('a', 1)
      await follow(take)
      await take.epoch(1)
      await packed(take, 1)
      await take.epoch(2, 'x'.repeat(300_000))
      await until('it is said', () => take.said.some((line) => /goes on: .*(ENOSPC|EFBIG)/.test(line)))
      const other = await aTake('b', 2)
      const whenFull = await restore(other)
      const names = await readdir(shared(ID))

      await take.epoch(3)
      await packed(take, 3)

      expect(whenFull).to.include({ epoch: 1 })
      expect(names.filter((name) => name.endsWith('.tmp'))).to.deep.equal([])
      expect(await restore(await aTake('c', 2))).to.include({ epoch: 3 })
    })
  })

  it('hold what the program left when its worker hands the training back', async () => {
    const take = await aTake('a', 1, { everyMs: 3_600_000 })
    await follow(take)
    await take.epoch(8)

    await take.checkpoints.handBack()

    expect(await restore(await aTake('b', 2))).to.include({ epoch: 8 })
  })

  it('never hold up a hand-back for longer than three seconds', async () => {
    const checkFence = () => new Promise<void>(() => undefined) // as Redis that is away, or a server of files
    const take = await aTake('a', 1, { checkFence })
    await follow(take)
    await take.epoch(8)
    const startedAt = performance.now()

    await take.checkpoints.handBack()

    expect(performance.now() - startedAt).to.be.below(3000)
  })

  it('tell that the training has finished, so that no other host trains again', async () => {
    const take = await aTake('a', 1)
    await follow(take)
    await take.epoch(4)

    await take.checkpoints.finish({ stopped: true, epoch: 3 })
    await rm(take.path('models'), { recursive: true })
    const markers = async () => (await listed()).filter((name) => name.endsWith('.json'))
    const isEnd = async (name: string) => JSON.parse(await readFile(shared(ID, name), 'utf8')).finished !== null
    await until('its end is packed', async () => (await Promise.all((await markers()).map(isEnd))).includes(true))

    const restored = await restore(await aTake('b', 2))
    expect(restored?.finished).to.deep.equal({ stopped: true, epoch: 3 })
    expect(await readdir(join(folder.path, 'b/models'))).to.deep.equal(['000004'])
  })

  it('go when their training needs them no more, and leave nothing half written by a killed worker', async () => {
    await aHostThatPacked(1, 1)
    await mkdir(shared('other'))
    await writeFile(shared(ID, '.000001-000009.tar.0b16.tmp'), 'half')
    await aHostThatPacked(2, 2)
    const names = await listed()

    await forgetEnded(shared(), async (id) => id === ID)

    expect(names.filter((name) => name.endsWith('.tmp'))).to.deep.equal([])
    expect(await readdir(shared())).to.deep.equal(['other'])
  })
})

async function spoilByte(file: string): Promise<void> {
  const bytes = await readFile(file)
  bytes[700] = (bytes[700] ?? 0) ^ 1
  await writeFile(file, bytes)
}

async function spoilRun(file: string): Promise<void> {
  await writeFile(file, (await readFile(file, 'utf8')).replace('"run": 1', '"run": 7'))
}

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { execa } from 'execa'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'

const ONE_EACH = { mocked: 1, mocked_converted: 1 }
const TEN_ONCE = Array(10).fill(1)
const SOME_SECONDS = { epochs: 40, epoch_seconds: 0.1 }

const preload = (name: string) => `--import ${new URL(`../fixtures/preload/${name}.js`, import.meta.url).href}`

describe('a training on a machine', function () {
  this.timeout(120_000)
  let fleet: Fleet | undefined
  afterEach(async () => {
    await fleet?.close()
    fleet = undefined
  })

  it('whose clock jumps by an hour, to and fro, is one run of one program', async () => {
    fleet = await startFleet({ lockMs: 3000, threads: 1, env: { NODE_OPTIONS: preload('jumps-its-clock') } })
    await fleet.order({ hyperparameters: SOME_SECONDS })
    await fleet.until({ epoch: 39 }, 60_000)
    const starts = await fleet.starts()
    await fleet.until({ ended: true }, 60_000)

    expect(starts).to.have.lengthOf(1)
    expect(await fleet.record()).to.include({ run: 1, outcome: 'completed' })
    expectOneOfEach(fleet)
  })

  it('whose event loop is blocked for longer than the lock is taken over, and has no effect twice', async () => {
    const env = { NODE_OPTIONS: preload('blocks-on-signal'), BLOCK_MS: '9000' }
    fleet = await startFleet({ workers: ['a', 'b'], lockMs: 2000, threads: 1, env })
    await fleet.order({ hyperparameters: { epochs: 60, epoch_seconds: 0.1 } })
    await fleet.until({ epoch: 3 }, 40_000)
    const { hostId } = await fleet.record()
    const blocked = fleet.workers.find((worker) => worker.hostId === hostId)

    process.kill(blocked?.pid ?? 0, 'SIGUSR2')
    await until('the other host has it', async () => (await fleet?.record())?.hostId !== hostId, 30_000)
    await fleet.until({ ended: true }, 60_000)

    expect(blocked?.hasExited).to.equal(false)
    expectOneOfEach(fleet)
    expect(await fleet.programs()).to.deep.equal([])
  })

  describe('that Redis refuses', () => {
    let one: Fleet
    before(async () => {
      one = await startFleet({ lockMs: 2000, threads: 1 })
    })
    after(async () => one?.close())

    for (const [trouble, begin, end] of [
      ['full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
      ['read-only', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    ] as const) {
      it(`goes on in the same program while Redis is ${trouble} for some seconds`, async () => {
        const [worker] = one.workers
        await one.order({ hyperparameters: { epochs: 60, epoch_seconds: 0.1 } })
        await one.until({ epoch: 3 }, 40_000)

        await one.link.client.call(begin[0], ...begin.slice(1))
        await sleep(4000) // longer than any lock
        await one.link.client.call(end[0], ...end.slice(1))
        await one.until({ epoch: 59 }, 60_000)
        const starts = await one.starts()
        await one.until({ ended: true }, 60_000)

        expect([worker?.hasExited, one.trainer.hasExited]).to.deep.equal([false, false])
        expect(starts).to.have.lengthOf(1)
        expectOneOfEach(one)
      })
    }
  })

  it('whose disk is full says so, waits, and goes on when there is room', async function () {
    fleet = await startFleet({ workers: [], threads: 1 })
    const disk = join(fleet.folder, 'host-a')
    await mkdir(disk)
    const mounted = await execa('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk], { reject: false })
    if (mounted.exitCode !== 0) return this.skip() // only root may mount
    try {
      await fleet.startWorker()
      await writeFile(join(disk, 'filler'), Buffer.alloc(3e6)).catch(() => undefined)
      const { loop } = fleet
      await fleet.order({ hyperparameters: { epochs: 2 } })
      const seen = () => fleet?.seen()
      await until('the Loop is told', () => JSON.stringify(seen()?.errors).includes('ENOSPC'), 60_000)

      await rm(join(disk, 'filler'))
      await fleet.until({ ended: true }, 90_000)

      expect(loop.nodes().map(({ state }) => state)).to.include('idle')
      expectOneOfEach(fleet)
    } finally {
      for (const worker of [...fleet.workers]) await worker.end()
      await execa('umount', ['--lazy', disk], { reject: false })
    }
  })

  function expectOneOfEach(one: Fleet): void {
    expect(one.seen()).to.deep.include({ outcome: 'completed', errors: {} })
    expect(one.seen().models).to.have.lengthOf(1)
    expect(one.uploads()).to.deep.equal(ONE_EACH)
    expect(Object.values(one.detectionCounts())).to.deep.equal(TEN_ONCE)
  }
})

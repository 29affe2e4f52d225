import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeTree } from '../../src/base/files.js'
import { type FleetWorker, startFleet } from '../helpers/fleet.js'
import { type Gate, startGate } from '../helpers/gate.js'
import { until } from '../helpers/until.js'
import { type Cell, randomOf } from './cells.js'
import { brokenInvariants } from './invariants.js'
import { loopFaults } from './loop-faults.js'
import { isHitFromTheStart, stageCases } from './stage-cases.js'

export type ArenaOptions = {
  readonly lockMs: number
  /** How long the Loop is away. */
  readonly outageMs: number
  /** How long a round may take. */
  readonly withinMs: number
}

export const FULL: ArenaOptions = { lockMs: 30_000, outageMs: 20_000, withinMs: 150_000 }
export const SHORT: ArenaOptions = { lockMs: 2000, outageMs: 3000, withinMs: 60_000 }

export type RoundResult = Cell & {
  readonly ok: boolean
  readonly seconds: number
  readonly problems: readonly string[]
}

/** A fleet in which rounds are fought, one after the other: each a training to which one thing happens in one stage. */
export type Arena = {
  round(cell: Cell): Promise<RoundResult>
  close(): Promise<void>
}

const COMPLETE = 8
const INBOX = 2
const IMAGES = COMPLETE + INBOX

/** Starts the fleet and lets one training through unharmed, whose model others go on from. */
export async function openArena(options: ArenaOptions): Promise<Arena> {
  let gate: Gate | undefined
  const shared = await mkdtemp(join(tmpdir(), 'loopfleet-faults-'))
  const fleet = await startFleet({
    lockMs: options.lockMs,
    login: { username: 'fleet', password: 'sesame open' },
    project: { complete: COMPLETE, inbox: INBOX },
    env: { INFERENCE_BATCH_SIZE: '4', LOOPFLEET_CHECKPOINTS: shared, LOOPFLEET_CHECKPOINT_SECONDS: '1' },
    through: async (loopHost) => {
      gate = await startGate(loopHost)
      return gate
    },
  })
  let hosts = 1
  try {
    await fleet.order({ hyperparameters: { epochs: 1 } })
    await fleet.until({ ended: true }, options.withinMs)
  } catch (error) {
    await fleet.close().finally(() => removeTree(shared))
    throw error
  }
  const base = fleet.seen().models[0]?.id

  async function fight(cell: Cell): Promise<void> {
    const stage = stageCases[cell.stage]
    const rules = loopFaults(cell.fault, stage, randomOf(cell))
    const fromTheStart = isHitFromTheStart(cell.stage) && rules.length > 0
    if (fromTheStart) for (const rule of rules) fleet.loop.addFault(rule)
    if (cell.fault === 'host-killed') await fleet.startWorker({ data: `host-${++hosts}` })
    const hold = stage.hold !== undefined && !fromTheStart ? fleet.hold(stage.hold) : undefined
    const { hyperparameters } = stage
    const request = { hyperparameters, ...(stage.fromModel === true && { base_model_uuid: base }) }
    // The socket may still be on its way back from the round before.
    const isTaken = () =>
      fleet.order(request).then(
        () => true,
        () => false,
      )
    await until('the order is taken', isTaken, options.withinMs)
    if (!fromTheStart) {
      await hold?.reached()
      await fleet.until(stage.inside ?? {}, options.withinMs)
      for (const rule of rules) fleet.loop.addFault(rule)
      if ((await fleet.record()).endedAt !== null) throw new Error('The training had ended before the fault came.')
      await strike(cell, hold?.release ?? (() => undefined))
      hold?.release()
    }
    // A trainer node that comes back may be idle for a moment; the journal knows better.
    await until('the journal has the end', async () => (await fleet.record()).endedAt !== null, options.withinMs)
    await fleet.until({ ended: true }, options.withinMs)
    const came = cell.fault === 'session-expired' || fleet.loop.faults().some(({ done }) => done > 0)
    if (rules.length > 0 && !came) throw new Error('The Loop was never asked for what was to go wrong.')
  }

  async function strike({ fault }: Cell, release: () => void): Promise<void> {
    switch (fault) {
      case 'worker-killed': {
        const worker = await holder()
        await fleet.killWorker('SIGKILL', worker)
        release()
        await fleet.startWorker({ data: worker.data })
        return
      }
      case 'node-killed':
        await fleet.trainer.kill('SIGKILL')
        release()
        await fleet.startTrainer()
        return
      case 'host-killed':
        await fleet.killTree(await holder())
        release()
        return
      case 'loop-away':
        await gate?.shut()
        release()
        await sleep(options.outageMs) // the outage itself
        await gate?.open()
        return
      case 'session-expired':
        fleet.loop.expireSessions()
        fleet.loop.dropSockets()
        return
      case 'status-500':
      case 'too-many':
      case 'too-many-retry-after':
      case 'answer-lost':
      case 'answer-short':
      case 'answer-cut':
        return // the rules do it
      default:
        fault satisfies never
    }
  }

  /** The worker that has the training; one that is about to take it counts. */
  async function holder(): Promise<FleetWorker> {
    const { hostId } = await fleet.record()
    const worker = fleet.workers.find((each) => each.hostId === hostId)
    if (worker === undefined) throw new Error(`No worker lives on host ${hostId}.`)
    return worker
  }

  /** As it was before: no rules, one worker, a trainer node, and images that have to be fetched. */
  async function tidy(): Promise<void> {
    fleet.loop.clearFaults()
    for (const worker of fleet.workers.slice(0, -1)) await worker.end()
    if (fleet.workers.length === 0) await fleet.startWorker()
    if (fleet.trainer.hasExited) await fleet.startTrainer()
    const uuid = String(fleet.trainer.facts.uuid)
    const isIdle = () => fleet.loop.node(uuid)?.connected === true && fleet.loop.node(uuid)?.state === 'idle'
    await until('the trainer is idle at the Loop', isIdle, options.withinMs)
    for (const { folder } of fleet.workers) await removeTree(`${folder}/${fleet.organization}/${fleet.project}/images`)
  }

  return {
    async round(cell) {
      await tidy()
      const startedAt = performance.now()
      const problems = await fight(cell).then(
        () => brokenInvariants(fleet, cell, IMAGES),
        (error: unknown) => [error instanceof Error ? error.message : String(error)],
      )
      const seconds = (performance.now() - startedAt) / 1000
      return { ...cell, ok: problems.length === 0, seconds, problems }
    },
    async close() {
      await fleet.close().finally(() => removeTree(shared))
    },
  }
}

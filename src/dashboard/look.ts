import {
  type Conversions,
  type Fleet,
  isWaiting,
  type Queues,
  stages,
  type TrainingRecord,
  type Trainings,
  type TrainingsOfFleet,
  waitsForSlots,
  whyTrainingWaits,
  workKinds,
} from '../queue/index.js'
import { type RedisLink, readWriteState } from '../queue/redis/index.js'
import { type CurrentStep, toConversionView, toCurrentStep, toTrainingView } from './views.js'

export type LookDeps = {
  readonly link: Pick<RedisLink, 'client' | 'url' | 'tryWrites'>
  readonly queues: Pick<Queues, 'names' | 'counts' | 'jobs'>
  readonly trainings: Pick<TrainingsOfFleet, 'list' | 'load' | 'count' | 'countWaiting'> &
    Pick<Trainings, 'returnSilent'>
  readonly fleet: Pick<Fleet, 'hosts' | 'nodes'>
  readonly conversions: Pick<Conversions, 'list' | 'count' | 'countOpen'>
  readonly now: () => number
}

const SHOWN_CONVERSIONS = 20

export type Page = { readonly limit: number; readonly offset: number }

/** All that the page shows at a time, read from Redis. */
export type Look = ReturnType<typeof createLook>

export function createLook(deps: LookDeps) {
  const { queues, trainings: store } = deps

  async function trainings(page: Page) {
    await store.returnSilent().catch(() => undefined) // the page shows what is there all the same
    const [records, counts, steps] = await Promise.all([store.list(page), trainingCounts(), currentSteps()])
    const waits = await readWaits(records)
    const views = records.map((record) => toTrainingView(record, steps.get(record.id) ?? [], waits(record)))
    return { now: deps.now(), ...counts, ...page, trainings: views }
  }

  async function trainingCounts() {
    const [total, unfinished, waitingByTrainer] = await Promise.all([
      store.count(),
      store.count({ unfinishedOnly: true }),
      store.countWaiting(),
    ])
    return { total, unfinished, waitingByTrainer }
  }

  async function training(id: string) {
    const record = await store.load(id)
    if (record === undefined) return undefined
    const steps = record.endedAt === null ? await currentSteps() : new Map<string, CurrentStep[]>()
    // All in their order: the page shows those to come, too.
    const waits = await readWaits([record])
    return { ...toTrainingView(record, steps.get(id) ?? [], waits(record)), stages }
  }

  /** Why trainings wait; the fleet is read if one of them does. */
  async function readWaits(shown: readonly TrainingRecord[]): Promise<(record: TrainingRecord) => string | null> {
    if (!shown.some((each) => isWaiting(each) || waitsForSlots(each))) return () => null
    const [known, unfinished] = await Promise.all([
      deps.fleet.hosts(),
      store.list({ limit: 1000, unfinishedOnly: true }),
    ])
    return (record) => whyTrainingWaits(record, { hosts: known, unfinished })?.sentence ?? null
  }

  async function redis() {
    return { redis: await readWriteState(deps.link) }
  }

  async function hosts() {
    return { now: deps.now(), hosts: await deps.fleet.hosts() }
  }

  async function nodes() {
    return { now: deps.now(), nodes: await deps.fleet.nodes() }
  }

  /** BullMQ reads by scripts, which wait like writes. */
  async function readableQueues(): Promise<readonly string[]> {
    return (await readWriteState(deps.link)).code === 'WITHHELD' ? [] : await queues.names()
  }

  async function queueCounts() {
    const names = await readableQueues()
    return { queues: await Promise.all(names.map(async (name) => ({ name, counts: await queues.counts(name) }))) }
  }

  /** The failed ones first, since somebody has to look at them, then the newest of the others. */
  async function conversions() {
    const [failed, newest, counts] = await Promise.all([
      deps.conversions.list({ limit: SHOWN_CONVERSIONS, failedOnly: true }),
      deps.conversions.list({ limit: SHOWN_CONVERSIONS }),
      conversionCounts(),
    ])
    const others = newest.filter(({ state }) => state !== 'failed')
    const shown = [...failed, ...others].slice(0, SHOWN_CONVERSIONS).map(toConversionView)
    const { waitingByConverter: _, ...conversionSums } = counts
    return { conversions: shown, conversionCounts: conversionSums }
  }

  async function conversionCounts() {
    const [total, failed, { waiting: waitingByConverter, running }] = await Promise.all([
      deps.conversions.count(),
      deps.conversions.count({ failedOnly: true }),
      deps.conversions.countOpen(),
    ])
    const waiting = Object.values(waitingByConverter).reduce((sum, count) => sum + count, 0)
    return { total, failed, waiting, running, waitingByConverter }
  }

  /** What the hosts that are there work on now, by training. */
  async function currentSteps(): Promise<ReadonlyMap<string, CurrentStep[]>> {
    const [hosts, known] = await Promise.all([deps.fleet.hosts(), readableQueues()])
    const ofHosts = new Set(hosts.flatMap(({ hostId }) => workKinds.map((kind) => `${hostId}.${kind}`)))
    const names = known.filter((name) => ofHosts.has(name))
    const found = new Map<string, CurrentStep[]>()
    const jobs = await Promise.all(names.map(async (name) => ({ name, jobs: await queues.jobs(name, ['active']) })))
    for (const queue of jobs) {
      for (const job of queue.jobs) {
        const step = toCurrentStep(queue.name, job)
        if (step === undefined) continue
        const { trainingId, ...shown } = step
        found.set(trainingId, [...(found.get(trainingId) ?? []), shown])
      }
    }
    return found
  }

  return { trainings, trainingCounts, training, redis, hosts, nodes, queueCounts, conversions, conversionCounts }
}

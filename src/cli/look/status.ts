import process from 'node:process'
import { noHostSentence, queueNames, trainingName, warningsOf, workKinds } from '../../queue/index.js'
import { readWriteState } from '../../queue/redis/index.js'
import type { FleetLink } from '../compose/fleet-link.js'
import { printJson, printLine, printTable } from '../output.js'
import { presenceOf, printHosts } from './hosts.js'
import { readFleet } from './with-fleet.js'

export async function status(flags: { json: boolean }): Promise<void> {
  await readFleet(async (link) => {
    const view = await look(link)
    if (flags.json) return printJson(view)
    if (view.redis.problem !== null) printLine(view.redis.problem)
    printHosts(view.hosts)
    if (view.noHost !== null && view.redis.problem === null) printLine(view.noHost)
    process.stdout.write('\n')
    printTable(
      ['NODE', 'STATE', 'TYPE', 'DOES', 'UUID'],
      view.nodes.map((node) => [
        node.name,
        presenceOf(node),
        node.type,
        node.trainer ?? node.converter ?? '',
        node.uuid,
      ]),
    )
    printWarnings(view.warnings)
    for (const { name, isAlive, errors } of view.nodes)
      if (isAlive) for (const each of errors) printLine(`${name}: ${each}`)
    printWaiting('TRAINER', view.trainings.waiting)
    printConversions(view.conversions)
    process.stdout.write('\n')
    const states = ['waiting', 'active', 'delayed', 'completed', 'failed']
    const known = queuesOf(view)
    const shown = Object.entries(view.queues).filter(([name, counts]) => known.has(name) || hasWork(counts))
    printTable(
      ['QUEUE', ...states.map((state) => state.toUpperCase())],
      shown.map(([name, counts]) => [name, ...states.map((state) => String(counts[state] ?? 0))]),
    )
    const others = Object.keys(view.queues).length - shown.length
    if (others > 0)
      process.stdout.write(`${others} more of hosts and nodes that are gone, with nothing to do (--json)\n`)
  })
}

function printConversions({ waiting, running, failed }: View['conversions']): void {
  if (running + failed === 0 && !isAnyWaiting(waiting)) return
  printWaiting('CONVERTER', waiting)
  printLine(`Conversions: ${running} running, ${failed} failed.`)
}

type Waiting = Readonly<Record<string, number>>

function isAnyWaiting(waiting: Waiting): boolean {
  return Object.values(waiting).some((count) => count > 0)
}

function printWaiting(what: string, waiting: Waiting): void {
  if (!isAnyWaiting(waiting)) return
  process.stdout.write('\n')
  const counts = Object.entries(waiting).filter(([, count]) => count > 0)
  printTable(
    [what, 'WAITING'],
    counts.map(([name, count]) => [name, String(count)]),
  )
}

function printWarnings(warnings: readonly TrainingWarning[]): void {
  if (warnings.length === 0) return
  process.stdout.write('\n')
  printTable(
    ['TRAINING', 'WARNING'],
    warnings.map(({ name, text }) => [name, text]),
  )
}

type TrainingWarning = { readonly id: string; readonly name: string; readonly text: string }

/** Of trainings that go on. */
async function warningsOfAll(store: FleetLink['trainings']): Promise<readonly TrainingWarning[]> {
  const trainings = await store.list({ limit: 1000, unfinishedOnly: true })
  return trainings.flatMap((training) =>
    warningsOf(training).map((text) => ({ id: training.id, name: trainingName(training.order), text })),
  )
}

async function look({ link, fleet, queues, trainings, conversions }: FleetLink) {
  const redis = await readWriteState(link)
  const names = redis.code === 'WITHHELD' ? [] : await queues.names() // BullMQ counts by scripts, which wait like writes
  const counts = await Promise.all(names.map(async (name) => [name, await queues.counts(name)] as const))
  const warnings = await warningsOfAll(trainings)
  const [hosts, unfinished, open] = await Promise.all([
    fleet.hosts(),
    trainings.count({ unfinishedOnly: true }),
    conversions.countOpen(),
  ])
  const openConversions = open.running + Object.values(open.waiting).reduce((sum, count) => sum + count, 0)
  return {
    ...{
      redis,
      warnings,
      hosts,
      noHost: noHostSentence(unfinished + openConversions, hosts) ?? null,
      nodes: await fleet.nodes(),
      queues: Object.fromEntries(counts),
    },
    trainings: { waiting: await trainings.countWaiting() },
    conversions: { ...open, failed: await conversions.count({ failedOnly: true }) },
  }
}

type View = Awaited<ReturnType<typeof look>>

/** The queues that living hosts and nodes work on or wait for. */
function queuesOf({ hosts, nodes }: View): ReadonlySet<string> {
  const converters = [...hosts.flatMap((host) => host.converters), ...nodes.flatMap((node) => node.converter ?? [])]
  return new Set([
    ...hosts.flatMap(({ hostId }) => workKinds.map((kind) => queueNames.host(hostId, kind))),
    ...hosts.flatMap(({ hostId, converters }) => (converters.length > 0 ? [queueNames.conversions(hostId)] : [])),
    ...nodes.map(({ uuid }) => queueNames.node(uuid)),
    ...converters.map(queueNames.scans),
  ])
}

function hasWork({ waiting = 0, active = 0, delayed = 0 }: Readonly<Record<string, number>>): boolean {
  return waiting + active + delayed > 0
}

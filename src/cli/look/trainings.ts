import { resolve } from 'node:path'
import process from 'node:process'
import { InvalidInputError } from '../../base/index.js'
import { plainText } from '../../base/terminal/index.js'
import {
  type Fleet,
  failureOf,
  isWaiting,
  noHostSentence,
  reportedErrors,
  shownOutcome,
  type TrainingControl,
  type TrainingRecord,
  type TrainingsOfFleet,
  trainingName,
  waitsForSlots,
  warningsOf,
  whyTrainingWaits,
} from '../../queue/index.js'
import { workspacePaths } from '../../workers/workspaces/index.js'
import { ago, inWords, percent, printJson, printLine, printTable } from '../output.js'
import { failureText } from './failure-text.js'
import { printLog } from './log-text.js'
import { printRedisProblem } from './redis-problem.js'
import { trainingSilence } from './silence.js'
import { changeFleet, readFleet } from './with-fleet.js'

export async function list(flags: { json: boolean; limit: number }): Promise<void> {
  await readFleet(async ({ link, trainings: store, fleet }) => {
    const trainings = await store.list({ limit: flags.limit })
    const waits = await readWaits({ trainings: store, fleet }, trainings)
    if (flags.json) return printJson(trainings.map((training) => toView(training, waits(training))))
    const isOutOfDate = await printRedisProblem(link)
    const rows = trainings.map((training) => toRow(training, Date.now()))
    printTable(['ID', 'TRAINING', 'TRAINER', 'STATE', 'PROGRESS', 'HOST', 'RUN', 'AGE'], rows)
    const [hosts, nodes] = await Promise.all([fleet.hosts(), fleet.nodes()])
    for (const { by, error } of reportedErrors(hosts, nodes)) printLine(`${by}: ${error}`)
    if (isOutOfDate) return // that hosts seem to be offline is no reason then
    const noHost = noHostSentence(trainings.filter(({ endedAt }) => endedAt === null).length, hosts)
    if (noHost !== undefined) return printLine(noHost)
    for (const training of trainings) {
      const reason = waits(training)
      if (reason !== undefined) printLine(`${trainingName(training.order)} waits: ${reason}`)
    }
  })
}

export async function show(wanted: string, flags: { json?: boolean }): Promise<void> {
  await readFleet(async ({ trainings, fleet }) => {
    const training = await find(trainings, wanted)
    const reason = (await readWaits({ trainings, fleet }, [training]))(training)
    if (flags.json === true) return printJson(toView(training, reason))
    const { failure, facts, warnings, ...view } = toView(training, reason)
    // What stages note for themselves is for programs, except for what it runs on.
    const shown = Object.entries({ ...view, outcome: shownOutcome(training), device: facts.device ?? null })
    printTable(
      ['FACT', 'VALUE'],
      shown.map(([name, value]) => [name, inWords(name, value)]),
    )
    for (const warning of warnings) printLine(`warning: ${warning}`)
    if (failure !== null) process.stdout.write(`\n${plainText(failureText(failure, Date.now()))}\n`)
  })
}

export async function logs(wanted: string, flags: { follow: boolean }): Promise<void> {
  await readFleet(async ({ trainings, fleet }, { environment, signal }) => {
    const training = await find(trainings, wanted)
    const { id, order, endedAt } = training
    const { log: file } = workspacePaths(resolve(environment.DATA_FOLDER), order, id)
    const why = { silence: trainingSilence(training, await fleet.hosts()), isWaiting: isWaiting(training) }
    await printLog({ id, hasEnded: endedAt !== null, file, ...why }, { ...flags, signal }, trainings)
  })
}

export async function act(
  action: 'retry' | 'stop' | 'abort',
  wanted: string,
  flags: { json?: boolean },
): Promise<void> {
  await changeFleet(async ({ trainings }) => {
    const { id } = await find(trainings, wanted)
    const answer = await trainings.promptly<keyof typeof sentences | 'asked'>(() =>
      action === 'retry' ? retry(trainings, id) : trainings.request(id, action, 'cli'),
    )
    if (flags.json === true) return printJson({ id, action, ok: true, answer })
    process.stdout.write(`${answer === 'asked' ? `Asked to ${action}` : sentences[answer]}: ${id}\n`)
  })
}

async function retry(trainings: TrainingControl, id: string): Promise<'queued'> {
  const reopened = await trainings.retry(id)
  if (reopened.outcome === 'refused') throw new InvalidInputError(reopened.reason)
  return 'queued'
}

const sentences = {
  queued: 'Back in the queue',
  ended: 'Ended, since no host had it',
  'ended-before': 'It had ended before, so nothing was done',
}

async function find(trainings: TrainingsOfFleet, wanted: string): Promise<TrainingRecord> {
  const training = await trainings.find(wanted)
  if (training !== undefined) return training
  throw new InvalidInputError(`There is no training "${wanted}"; \`loopfleet trainings\` lists them all.`)
}

/** Why trainings wait; the fleet is read if one of them does. */
async function readWaits(
  { trainings, fleet }: { readonly trainings: TrainingsOfFleet; readonly fleet: Pick<Fleet, 'hosts'> },
  shown: readonly TrainingRecord[],
): Promise<(training: TrainingRecord) => string | undefined> {
  if (!shown.some((each) => isWaiting(each) || waitsForSlots(each))) return () => undefined
  const [hosts, unfinished] = await Promise.all([fleet.hosts(), trainings.list({ limit: 1000, unfinishedOnly: true })])
  return (training) => whyTrainingWaits(training, { hosts, unfinished })?.sentence
}

function toView(training: TrainingRecord, waits: string | undefined) {
  const { order, seat, steps, facts, requires: _requires, protocol: _protocol, ...rest } = training
  const { failure: _, warnings: _warnings, ...others } = facts
  return {
    ...rest,
    facts: others,
    /** Why it waits. */
    waits: waits ?? null,
    failure: failureOf(training) ?? null,
    warnings: warningsOf(training),
    organization: order.organization,
    project: order.project,
    trainingNumber: order.trainingNumber,
    seat: seat.name,
    stages: Object.fromEntries(Object.entries(steps).map(([stage, step]) => [stage, step.seconds])),
  }
}

function toRow(training: TrainingRecord, nowMs: number): string[] {
  const { order } = training
  return [
    training.id,
    trainingName(order),
    training.trainer,
    isWaiting(training) ? 'waiting for a host' : (shownOutcome(training) ?? training.state),
    percent(training.progress),
    training.hostId ?? '',
    String(training.run),
    ago(training.createdAt, nowMs),
  ]
}

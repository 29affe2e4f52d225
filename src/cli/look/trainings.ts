import process from 'node:process'
import { InvalidInputError } from '../../base/errors.js'
import type { Control } from '../../queue/control.js'
import { failureOf } from '../../queue/failure-facts.js'
import type { Journal, TrainingRecord } from '../../queue/journal.js'
import { ago, inWords, percent, printJson, printTable } from '../output.js'
import { failureText } from './failure-text.js'
import { changeFleet, readFleet } from './with-fleet.js'

export async function list(flags: { json: boolean; limit: number }): Promise<void> {
  await readFleet(async ({ journal }) => {
    const trainings = await journal.list({ limit: flags.limit })
    if (flags.json) return printJson(trainings.map(toView))
    const rows = trainings.map((training) => toRow(training, Date.now()))
    printTable(['ID', 'TRAINING', 'TRAINER', 'STATE', 'PROGRESS', 'HOST', 'RUN', 'AGE'], rows)
  })
}

export async function show(wanted: string, flags: { json?: boolean }): Promise<void> {
  await readFleet(async ({ journal }) => {
    const training = await find(journal, wanted)
    if (flags.json === true) return printJson(toView(training))
    const { failure, ...view } = toView(training)
    const facts = Object.entries(view).map(([name, value]) => [name, inWords(name, value)])
    printTable(['FACT', 'VALUE'], facts)
    if (failure !== null) process.stdout.write(`\n${failureText(failure, Date.now())}\n`)
  })
}

export async function logs(wanted: string, flags: { follow: boolean }): Promise<void> {
  await readFleet(async ({ journal }, { signal }) => {
    const { id } = await find(journal, wanted)
    if (!flags.follow) {
      for (const line of await journal.readLog(id)) process.stdout.write(`${line.text}\n`)
      return
    }
    for await (const line of journal.followLog(id, { signal })) process.stdout.write(`${line}\n`)
  })
}

export async function act(
  action: 'retry' | 'stop' | 'abort',
  wanted: string,
  flags: { json?: boolean },
): Promise<void> {
  await changeFleet(async ({ journal, control }) => {
    const { id } = await find(journal, wanted)
    const answer = action === 'retry' ? await retry(control, id) : await control.request(id, action, 'cli')
    if (flags.json === true) return printJson({ id, action, ok: true, answer })
    process.stdout.write(`${answer === 'asked' ? `Asked to ${action}` : sentences[answer]}: ${id}\n`)
  })
}

async function retry(control: Control, id: string): Promise<'queued'> {
  const reopened = await control.retry(id)
  if (reopened.outcome === 'refused') throw new InvalidInputError(reopened.reason)
  return 'queued'
}

const sentences = {
  queued: 'Back in the queue',
  ended: 'Ended, since no host had it',
  'ended-before': 'It had ended before, so nothing was done',
}

async function find(journal: Journal, wanted: string): Promise<TrainingRecord> {
  const training = await journal.find(wanted)
  if (training !== undefined) return training
  throw new InvalidInputError(`There is no training "${wanted}"; \`loopfleet trainings\` lists them all.`)
}

function toView(training: TrainingRecord) {
  const { order, seat, steps, facts, ...rest } = training
  const { failure: _, ...others } = facts
  return {
    ...rest,
    facts: others,
    failure: failureOf(training) ?? null,
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
    `${order.organization}/${order.project}#${order.trainingNumber}`,
    training.trainer,
    training.outcome ?? training.state,
    percent(training.progress),
    training.hostId ?? '',
    String(training.run),
    ago(training.createdAt, nowMs),
  ]
}

import { resolve } from 'node:path'
import process from 'node:process'
import { InvalidInputError } from '../../base/index.js'
import { plainText } from '../../base/terminal/index.js'
import type { ConversionFailure, ConversionRecord, Conversions } from '../../queue/index.js'
import { conversionPaths } from '../../workers/workspaces/index.js'
import { ago, inWords, printJson, printTable } from '../output.js'
import { printLog } from './log-text.js'
import { printRedisProblem } from './redis-problem.js'
import { conversionSilence } from './silence.js'
import { changeFleet, readFleet } from './with-fleet.js'

export async function list(flags: { json: boolean; limit: number; failed: boolean }): Promise<void> {
  await readFleet(async ({ link, conversions }) => {
    const records = await conversions.list({ limit: flags.limit, failedOnly: flags.failed })
    if (flags.json) return printJson(records.map(toView))
    await printRedisProblem(link)
    const rows = records.map((record) => toRow(record, Date.now()))
    printTable(['ID', 'MODEL', 'FROM', 'TO', 'CONVERTER', 'STATE', 'HOST', 'AGE', 'TROUBLE'], rows)
  })
}

export async function show(wanted: string, flags: { json?: boolean }): Promise<void> {
  await readFleet(async ({ conversions }) => {
    const record = await find(conversions, wanted)
    if (flags.json === true) return printJson(toView(record))
    const { failure, ...view } = toView(record)
    const facts = Object.entries(view).map(([name, value]) => [name, inWords(name, value)])
    printTable(['FACT', 'VALUE'], facts)
    if (failure !== null) process.stdout.write(`\n${plainText(failureText(failure, Date.now()))}\n`)
  })
}

export async function logs(wanted: string, flags: { follow: boolean }): Promise<void> {
  await readFleet(async ({ conversions, fleet }, { environment, signal }) => {
    const record = await find(conversions, wanted)
    const { id, order, state } = record
    const { logFile: file } = conversionPaths(resolve(environment.DATA_FOLDER), order, id)
    const hasEnded = state !== 'waiting' && state !== 'running'
    const why = { silence: conversionSilence(record, await fleet.hosts()), isWaiting: state === 'waiting' }
    await printLog({ id, hasEnded, file, ...why }, { ...flags, signal }, conversions)
  })
}

export async function retry(wanted: string | undefined, flags: { all?: boolean; json?: boolean }): Promise<void> {
  await changeFleet(async ({ conversions, trainings }) => {
    const ids = flags.all === true ? await allFailed(conversions) : [(await find(conversions, wanted)).id]
    for (const id of ids) {
      const reopened = await trainings.promptly(() => conversions.retry(id))
      // Of all of them, one that somebody else has retried meanwhile is fine.
      if (reopened.outcome === 'refused' && flags.all !== true) throw new InvalidInputError(reopened.reason)
    }
    if (flags.json === true) return printJson(ids)
    process.stdout.write(ids.length === 0 ? 'No conversion has failed.\n' : `Back in the queue: ${ids.join(', ')}\n`)
  })
}

async function allFailed(conversions: Conversions): Promise<string[]> {
  const records = await conversions.list({ limit: 10_000, failedOnly: true })
  return records.map(({ id }) => id)
}

async function find(conversions: Conversions, wanted: string | undefined): Promise<ConversionRecord> {
  if (wanted === undefined) throw new InvalidInputError('Say which conversion: give its id, or --all.')
  const record = await conversions.find(wanted)
  if (record !== undefined) return record
  throw new InvalidInputError(`There is no conversion "${wanted}"; \`loopfleet conversions\` lists them all.`)
}

function toView({ order, definition: _, ...record }: ConversionRecord) {
  return { ...order, ...record }
}

function toRow(record: ConversionRecord, nowMs: number): string[] {
  const { order } = record
  return [
    record.id,
    `${order.organization}/${order.project} ${order.modelVersion}`,
    order.sourceFormat,
    order.targetFormat,
    order.converter,
    record.state,
    record.hostId ?? '',
    ago(record.createdAt, nowMs),
    record.failure?.message.slice(0, 100) ?? '',
  ]
}

function failureText(failure: ConversionFailure, nowMs: number): string {
  const { exitCode, signal, outOfMemory, lastLogLines = [] } = failure
  const how = signal ? `signal ${signal}` : `exit code ${exitCode}`
  return [
    `Last failure on ${failure.hostId}, ${ago(failure.at, nowMs)} ago: ${failure.message} [${failure.code}]`,
    ...(exitCode === undefined ? [] : [`The program ended with ${how}${outOfMemory ? ' (out of memory)' : ''}.`]),
    ...(lastLogLines.length === 0 ? [] : ['Its last lines:', ...lastLogLines.map((line) => `  ${line}`)]),
  ].join('\n')
}

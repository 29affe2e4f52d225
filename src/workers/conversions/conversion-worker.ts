import { join } from 'node:path'
import { RunSupersededError, WorkerShutdownError } from '../../base/abort-reasons.js'
import { UNCLASSIFIED_ATTEMPTS } from '../../base/back-off.js'
import type { Closers } from '../../base/closers.js'
import { isUnclassified, messageOf } from '../../base/errors.js'
import type { Logger } from '../../base/logger.js'
import { removeWhatGoes } from '../../base/remove-what-goes.js'
import { createService, type Service } from '../../base/service.js'
import { plainText } from '../../base/terminal/plain-text.js'
import type { Converter } from '../../executors/converter.js'
import type { Consumer } from '../../queue/consumer.js'
import type { BegunConversion, ConversionFailure, ConversionRecord, Conversions } from '../../queue/conversions.js'
import type { JobHandle } from '../../queue/job-handle.js'
import { type ConversionJob, conversionJobSchema } from '../../queue/job-schemas.js'
import { RecordLostError } from '../../queue/journal-errors.js'
import { queueNames } from '../../queue/names.js'
import { HandBackError, LockLostError } from '../../queue/queue-errors.js'
import type { Queues } from '../../queue/queues.js'
import { toFailureFacts } from '../failure-facts.js'
import type { HeldWork } from '../record-watch.js'
import { createJobLog, createRunOutput, toAudience } from '../run-output.js'
import { isForOtherHosts } from '../served.js'
import { createThrottle } from '../throttle.js'
import { type ConversionDeps, convertModel } from './convert-model.js'
import {
  ConversionDelayedError,
  ConversionFailedError,
  ConversionKillsWorkersError,
  isTheModelsFault,
  ModelGoneError,
  UnknownConverterError,
} from './errors.js'
import { conversionPaths } from './paths.js'
import { createProgramPlaces, type ProgramPlaces } from './program-places.js'

export type ConversionWorkerOptions = {
  readonly hostId: string
  readonly pid: number
  readonly dataFolder: string
  readonly converters: readonly Converter[]
  /** Programs of each converter at once; while they are brief, two more models are on their way to and from the Loop. */
  readonly places: number
  readonly lockMs: number
  readonly stalledMs: number
}

export type ConversionWorkerDeps = ConversionDeps & {
  readonly queues: Queues
  readonly conversions: Conversions
  /** Asked before each take; one that may not be goes back to the queue. */
  readonly mayTake: () => Promise<boolean>
  /** SIGKILLs what earlier takes of a conversion have left on this host. */
  readonly sweepConversion: (conversionId: string) => Promise<void>
  /** Clears, in the background, folders of failed conversions that are too old or too many. */
  readonly tidyFolders: () => void
  readonly log: Logger
}

/** What of a host's worker carries out conversions; `stop` ends the programs, and their conversions go back to the queue. */
export type ConversionWorker = Service & {
  /** Which converters take work from now on; what is in work is finished. */
  setTaking(isTaking: (converter: Converter) => boolean): void
  /** How many programs of each converter may run at once from now on. */
  setPlaces(places: number): void
  /** Ids of those in work. */
  readonly active: readonly string[]
  /** The same, to compare with their records. */
  held(): readonly HeldWork[]
}

/** So many takes in a row in which the worker died end a conversion. */
const MAX_DEATHS = 5
const SHOW_EVERY_MS = 500

export function createConversionWorker(options: ConversionWorkerOptions, deps: ConversionWorkerDeps): ConversionWorker {
  const { conversions, queues } = deps
  const log = deps.log.child({ component: 'conversions' })
  const consumers: Consuming[] = []
  const active = new Set<string>()
  const held = new Map<string, HeldWork>()
  const unclassified = new Map<string, number>()

  async function take(job: JobHandle<ConversionJob>, signal: AbortSignal, places: ProgramPlaces): Promise<unknown> {
    const id = job.data.conversionId
    // Its first take on this host still winds down (lock lost).
    if (active.has(id)) throw new HandBackError()
    active.add(id)
    try {
      if (!(await deps.mayTake())) throw new HandBackError()
      const begun = await conversions.begin(id, { hostId: options.hostId })
      if (begun === undefined) return { skipped: 'it has ended' }
      return await carryOut(begun, { job, signal, places })
    } finally {
      active.delete(id)
      held.delete(id)
    }
  }

  /** Another host had the job of a conversion that is at work here: whether it has begun it. */
  async function isTakenOver({ conversionId }: ConversionJob): Promise<boolean> {
    return (await held.get(conversionId)?.compare())?.state === 'newer'
  }

  async function carryOut({ record, run, deaths }: BegunConversion, { job, signal, places }: Taking): Promise<unknown> {
    const { id, order } = record
    const startedAt = performance.now()
    const takeLog = log.child({ conversionId: id, run, model: order.modelVersion, format: order.targetFormat })
    const shown = createThrottle(SHOW_EVERY_MS, (progress: object) => job.updateProgress(progress))
    const { workspace, logFile } = conversionPaths(options.dataFolder, order, id)
    const output = createRunOutput((text) => conversions.appendLog(id, text), {
      whole: `${logFile} on ${options.hostId}`,
    })
    const jobLog = createJobLog(job, { whole: `the log of conversion ${id}` })
    const say = (line: string) => {
      const plain = plainText(line)
      jobLog.write(plain)
      output.write(plain)
    }
    const warnings: string[] = []
    const warn = (warning: string) => {
      say(warning)
      warnings.push(warning)
    }
    held.set(id, {
      ...{ what: `conversion ${id}`, run, folder: workspace },
      compare: () => conversions.compareRun(id, run, options.hostId),
      end: () => undefined, // its fence does, before the upload
    })
    try {
      if (run > 1) await deps.sweepConversion(id)
      if (deaths >= MAX_DEATHS) throw new ConversionKillsWorkersError({ conversionId: id, deaths })
      say(`${order.sourceFormat} → ${order.targetFormat} on ${options.hostId}, take ${run}`)
      const files = await convertModel(
        {
          ...{ record, run, workspace, logFile, signal, log: takeLog, say },
          converter: findConverter(order.converter),
          owner: `${options.hostId}:${options.pid}:${id}.${run}`,
          checkFence: () => conversions.checkRun(id, run, options.hostId),
          inPlace: (work) => places.run(work, signal),
          audience: toAudience(output, jobLog, warn),
          progress: (progress, message) => shown.offer({ progress, message, gpus: null, process: null }),
        },
        deps,
      )
      const seconds = (performance.now() - startedAt) / 1000
      // Sent together, so that Redis brings them to its disk together.
      output.flush()
      jobLog.flush()
      await conversions.settle(id, run, { state: 'converted', files, seconds, warnings })
      unclassified.delete(id)
      takeLog.info({ seconds, files }, 'model converted')
      const told = conversions.tellUpload({ ...order, format: order.targetFormat }).catch(() => undefined) // the next look finds it anyway
      await Promise.all([told, forget(workspace, takeLog)])
      return { files, seconds }
    } catch (error) {
      return await settleOrLeave({ record, run, say, warnings, log: takeLog }, error, signal)
    } finally {
      shown.drop()
      await Promise.all([output.close(), jobLog.close()])
    }
  }

  type Taking = {
    readonly job: JobHandle<ConversionJob>
    readonly signal: AbortSignal
    readonly places: ProgramPlaces
  }

  type Settling = {
    readonly record: ConversionRecord
    readonly run: number
    readonly say: (line: string) => void
    readonly warnings: readonly string[]
    readonly log: Logger
  }

  // Without its record there is nothing to settle it in; it is converted again when it is planned or known again.
  async function settleOrLeave(taken: Settling, error: unknown, signal: AbortSignal) {
    try {
      if (error instanceof RecordLostError) throw error
      return await settle(taken, error, signal)
    } catch (failure) {
      if (!(failure instanceof RecordLostError)) throw failure
      taken.log.error({ err: failure }, 'conversion left without its record')
      throw new HandBackError()
    }
  }

  async function settle({ record, run, say, warnings, log: takeLog }: Settling, error: unknown, signal: AbortSignal) {
    const { id, order } = record
    const what = `model ${order.modelVersion} (${order.organization}/${order.project}) to ${order.targetFormat}`
    const { workspace } = conversionPaths(options.dataFolder, order, id)
    if (error instanceof RunSupersededError || signal.reason instanceof LockLostError) throw error
    if (signal.reason instanceof WorkerShutdownError) {
      await conversions.settle(id, run, { state: 'waiting' })
      throw new HandBackError()
    }
    if (error instanceof ModelGoneError) {
      takeLog.info('model no longer at the Loop')
      await conversions.forget(id, run)
      await forget(workspace, takeLog)
      return { skipped: error.message }
    }
    const failure: ConversionFailure = toFailureFacts(error, { hostId: options.hostId, at: Date.now() })
    if (isForOtherHosts(error)) {
      say(`goes back to the queue: ${messageOf(error)}`)
      await conversions.settle(id, run, { state: 'waiting' })
      throw new HandBackError()
    }
    if (!isTheModelsFault(error) && !isGivenUp(id, error)) {
      takeLog.warn({ err: error }, 'conversion waits')
      say(`waits: ${failure.message}`)
      await conversions.settle(id, run, { state: 'waiting', failure })
      throw new ConversionDelayedError(what, error)
    }
    takeLog.error({ err: error }, 'conversion failed')
    say(`failed: ${failure.message}`)
    await conversions.settle(id, run, { state: 'failed', failure, warnings })
    // The log stays, for whoever looks into it; models are large and at the Loop.
    for (const folder of ['model', 'output']) await forget(join(workspace, folder), takeLog)
    deps.tidyFolders()
    throw new ConversionFailedError(what, error)
  }

  // What nobody has classified is tried again only so often, lest a conversion fails for ever out of sight.
  function isGivenUp(id: string, error: unknown): boolean {
    if (!isUnclassified(error)) return false
    const count = (unclassified.get(id) ?? 0) + 1
    unclassified.set(id, count)
    if (count < UNCLASSIFIED_ATTEMPTS) return false
    unclassified.delete(id)
    return true
  }

  function findConverter(name: string): Converter {
    const converter = options.converters.find((each) => each.name === name)
    if (converter === undefined) throw new UnknownConverterError(name)
    return converter
  }

  // The folder's lock is ours, so whoever held these jobs is dead: no need to wait until its locks run out.
  async function takeOverFromPredecessor(queue: string): Promise<void> {
    const jobs = await queues.jobs(queue, ['active'], {})
    const records = await Promise.all(jobs.map(({ id }) => conversions.load(id)))
    const ours = records.flatMap((record) => (record?.hostId === options.hostId ? [record.id] : []))
    if (ours.length > 0) log.warn({ conversions: ours }, 'taking up the conversions of a worker that died')
    await queues.releaseHeldBy(queue, ours)
  }

  type Consuming = { readonly converter: Converter; readonly consumer: Consumer; readonly places: ProgramPlaces }

  function consume(converter: Converter): Consuming {
    const queue = queueNames.conversions(converter.name)
    const { lockMs, stalledMs, places: concurrency } = options
    const settings = { schema: conversionJobSchema, concurrency, lockMs, stalledMs, isTakenOver }
    const places = createProgramPlaces({
      places: concurrency,
      onUnderWay: (most) => consumer.setConcurrency(most),
    })
    const consumer = queues.consume<ConversionJob>(queue, (job, signal) => take(job, signal, places), settings)
    void consumer.pause() // until it is said which converters take work
    return { converter, consumer, places }
  }

  async function open(signal: AbortSignal, closers: Closers): Promise<void> {
    deps.tidyFolders()
    closers.add('converters', () => Promise.all(options.converters.map((converter) => converter.close?.())))
    closers.add('conversions', () =>
      Promise.all(consumers.map(({ consumer }) => consumer.close({ cancel: new WorkerShutdownError() }))),
    )
    for (const converter of options.converters) {
      await takeOverFromPredecessor(queueNames.conversions(converter.name))
      signal.throwIfAborted()
      consumers.push(consume(converter))
    }
  }

  const { start, stop, [Symbol.asyncDispose]: dispose } = createService('conversions', open, { log })
  return {
    start,
    stop,
    [Symbol.asyncDispose]: dispose,
    get active() {
      return [...active]
    },
    held: () => [...held.values()],
    setTaking(isTaking) {
      for (const { converter, consumer } of consumers) void (isTaking(converter) ? consumer.resume() : consumer.pause())
    },
    setPlaces(places) {
      for (const consumer of consumers) consumer.places.setPlaces(places)
    },
  }
}

/** The result is safe: what cannot be deleted is named and left to the keeper of workspaces. */
async function forget(folder: string, log: Logger): Promise<void> {
  const left = await removeWhatGoes(folder)
  if (left.length > 0) log.warn({ files: left.slice(0, 20), count: left.length }, 'files not deleted')
}

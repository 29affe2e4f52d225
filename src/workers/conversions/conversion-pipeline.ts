import { basename, join } from 'node:path'
import {
  backOffMs,
  failureClassOf,
  isUnclassified,
  RunSupersededError,
  TrainingAbortedError,
  tryToRemove,
  UNCLASSIFIED_ATTEMPTS,
  WorkerShutdownError,
} from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { plainText } from '../../base/terminal/index.js'
import type { Converter } from '../../executors/program/index.js'
import {
  type ConversionFailure,
  type ConversionPayload,
  type Conversions,
  RecordLostError,
  type StepHandle,
  type StepQueue,
} from '../../queue/index.js'
import { compareClaim } from '../engine/compare-claim.js'
import { toFailureFacts } from '../engine/failure-facts.js'
import type { Pipeline, Run } from '../engine/pipeline.js'
import type { HeldWork } from '../engine/record-watch.js'
import { isForOtherHosts } from '../engine/served.js'
import { createThrottle } from '../engine/throttle.js'
import { conversionPaths, createJobLog, createRunOutput, type RunOutput, toAudience } from '../workspaces/index.js'
import {
  type ConversionDeps,
  type ConversionStep,
  downloadModel,
  isAtLoop,
  runConverter,
  uploadModel,
} from './convert-model.js'
import { ConversionKillsWorkersError, isTheModelsFault, ModelGoneError, UnknownConverterError } from './errors.js'
import { createProgramPlaces, type ProgramPlaces } from './program-places.js'

export type ConversionPipelineOptions = {
  readonly hostId: string
  readonly pid: number
  readonly dataFolder: string
  readonly converters: readonly Converter[]
  /** Programs of each converter at once; while they are brief, two more models are on their way to and from the Loop. */
  readonly places: number
}

export type ConversionPipelineDeps = ConversionDeps & {
  readonly conversions: Conversions
  readonly steps: Pick<StepQueue, 'run'>
  /** The host may claim more, or of other converters, than before. */
  readonly onChange: () => void
  /** A program of this converter has failed on this host. */
  readonly onProgramFailed?: (kind: 'converter', name: string, error: unknown) => void
  /** SIGKILLs what earlier runs of a conversion have left on this host. */
  readonly sweepConversion: (conversionId: string) => Promise<void>
  /** Clears, in the background, folders of failed conversions that are too old or too many. */
  readonly tidyFolders: () => void
  readonly log: Logger
}

/** How a host carries out conversions. */
export type ConversionPipeline = Pipeline<ConversionPayload> & {
  /** Of which converters it claims conversions from now on; those that it has are finished. */
  setTaking(isTaking: (converter: Converter) => boolean): void
  /** How many programs of each converter may run at once from now on. */
  setPlaces(places: number): void
  /** Those that it works on, to compare with their records. */
  held(): readonly HeldWork[]
}

type ConversionStepName = 'download-model' | 'convert' | 'upload-model'

/** So many runs in a row in which the worker died end a conversion. */
const MAX_DEATHS = 5
const PROGRESS_EVERY_MS = 500
/** What this host lacks another one may have; it has so long to claim the conversion first. */
const FOR_OTHERS_MS = 1_000

export function createConversionPipeline(
  options: ConversionPipelineOptions,
  deps: ConversionPipelineDeps,
): ConversionPipeline {
  const { conversions } = deps
  const log = deps.log.child({ component: 'conversions' })
  const held = new Map<string, HeldWork>()
  const serving = new Map(options.converters.map((converter) => [converter.name, serve(converter)]))

  function serve(converter: Converter): Serving {
    const added: Serving = {
      converter,
      most: options.places,
      underWay: 0,
      isTaking: false,
      places: createProgramPlaces({
        places: options.places,
        onUnderWay(most) {
          added.most = most
          deps.onChange()
        },
      }),
    }
    return added
  }

  async function carryOut(run: Run<ConversionPayload>): Promise<void> {
    const { record, claim } = run
    const { id } = record
    const { order } = record.payload
    const runLog = log.child({
      conversionId: id,
      run: claim.run,
      model: order.modelVersion,
      format: order.targetFormat,
    })
    const { workspace, logFile } = conversionPaths(options.dataFolder, order, id)
    const output = createRunOutput((text) => conversions.appendLog(id, text), {
      whole: `${logFile} on ${options.hostId}`,
    })
    const current: CurrentRun = { run, workspace, logFile, output, log: runLog, warnings: [] }
    held.set(id, {
      ...{ what: `conversion ${id}`, run: claim.run, folder: workspace },
      compare: () => compareClaim(conversions.records, claim),
      end: () => undefined, // the renewal of its lease ends it
    })
    const served = serving.get(record.name)
    if (served !== undefined) served.underWay += 1
    try {
      await convert(current, served)
    } catch (error) {
      await settle(current, run.signal.aborted ? run.signal.reason : error)
    } finally {
      if (served !== undefined) served.underWay -= 1
      held.delete(id)
      await output.close()
    }
  }

  async function convert(current: CurrentRun, served: Serving | undefined): Promise<void> {
    const { run, workspace, output, log: runLog } = current
    const { id, name } = run.record
    const startedAt = performance.now()
    if (run.claim.run > 1) await deps.sweepConversion(id)
    if (run.fruitlessRuns >= MAX_DEATHS)
      throw new ConversionKillsWorkersError({ conversionId: id, deaths: run.fruitlessRuns })
    if (served === undefined) throw new UnknownConverterError(name)
    const files = await runSteps(current, served)
    const seconds = (performance.now() - startedAt) / 1000
    output.flush() // sent together, so that Redis brings them to its disk together
    await run.finish('converted', {
      ...{ files: [...files], seconds, warnings: current.warnings, failure: null, delays: 0, isUploading: false },
    })
    runLog.info({ seconds, files }, 'model converted')
    const { order } = run.record.payload
    const upload = { organization: order.organization, project: order.project, format: order.targetFormat }
    const told = conversions.tellUpload(upload).catch(() => undefined) // the next scan finds the model anyway
    await Promise.all([told, forget(workspace, runLog)])
  }

  /** The whole way of a conversion; answers the names of the files that the Loop has. */
  async function runSteps(current: CurrentRun, { converter, places }: Serving): Promise<readonly string[]> {
    const { run, logFile, output } = current
    const { id, payload } = run.record
    const { order } = payload
    const { run: number } = run.claim
    output.write(`${order.sourceFormat} → ${order.targetFormat} on ${options.hostId}, run ${number}`)
    if (number > 1 && (await isAtLoop(order, deps, run.signal))) {
      output.write(`the Loop has ${order.targetFormat} already`)
      return payload.files
    }
    const { file, modelJson } = await inStep(current, 'download-model', (step) => downloadModel(step, deps))
    const owner = `${options.hostId}:${options.pid}:${id}.${number}`
    const program = { converter, file, logFile, owner, checkFence: run.check }
    const files = await places.run(
      () => inStep(current, 'convert', (step) => runConverter(step, program, deps)),
      run.signal,
    )
    const names = files.map((path) => basename(path))
    const begin = () => run.update({ isUploading: true, files: names })
    await inStep(current, 'upload-model', (step) => uploadModel(step, { files, modelJson, begin }, deps))
    return names
  }

  async function inStep<Answer>(
    { run, workspace, output, log: runLog, warnings }: CurrentRun,
    name: ConversionStepName,
    work: (step: ConversionStep) => Promise<Answer>,
  ): Promise<Answer> {
    const { id, payload } = run.record
    const job = { id, born: run.claim.born, run: run.claim.run, step: name }
    return await deps.steps.run(job, workIn, run)

    async function workIn(handle: StepHandle): Promise<Answer> {
      const jobLog = createJobLog(handle, { whole: `the log of conversion ${id}` })
      const throttle = createThrottle(PROGRESS_EVERY_MS, (progress: object) => handle.updateProgress(progress))
      const say = (line: string) => {
        jobLog.write(line)
        output.write(plainText(line))
      }
      const warn = (warning: string) => {
        say(warning)
        warnings.push(warning)
      }
      try {
        return await work({
          ...{ order: payload.order, workspace, signal: run.signal, log: runLog, say },
          audience: toAudience(output, jobLog, warn),
          progress: (progress, message) => throttle.offer({ progress, message, gpus: null, process: null }),
        })
      } finally {
        throttle.drop()
        await jobLog.close()
      }
    }
  }

  async function settle(current: CurrentRun, error: unknown): Promise<void> {
    const { run, workspace, output, log: runLog, warnings } = current
    const { payload, failures } = run.record
    if (error instanceof RunSupersededError || error instanceof RecordLostError) throw error
    if (error instanceof WorkerShutdownError) return await run.release({ isHandBack: true })
    if (error instanceof TrainingAbortedError) {
      await run.finish('aborted', { isUploading: false })
      return await forget(workspace, runLog)
    }
    if (error instanceof ModelGoneError) {
      runLog.info('model no longer at the Loop')
      await run.remove()
      return await forget(workspace, runLog)
    }
    if (isForOtherHosts(error)) return await run.release({ pauseMs: FOR_OTHERS_MS, isHandBack: true })
    if (failureClassOf(error) === 'program') deps.onProgramFailed?.('converter', run.record.name, error)
    const failure: ConversionFailure = toFailureFacts(error, { hostId: options.hostId, at: Date.now() })
    if (!isTheModelsFault(error) && !(await isGivenUp(run, error, failures))) {
      const delays = payload.delays + 1
      const pauseMs = backOffMs(delays)
      runLog.warn({ err: error, pauseMs }, 'conversion waits')
      output.write(plainText(`waits: ${failure.message}`))
      output.flush()
      return await run.release({ pauseMs, patch: { failure, delays } })
    }
    runLog.error({ err: error }, 'conversion failed')
    output.write(plainText(`failed: ${failure.message}`))
    output.flush()
    await run.finish('failed', { failure, warnings, delays: 0, isUploading: false })
    // The log stays for people; models are large and at the Loop.
    for (const folder of ['model', 'output']) await forget(join(workspace, folder), runLog)
    deps.tidyFolders()
  }

  // An error that nobody has classified is tried again only so often, lest a conversion fails indefinitely out of sight.
  async function isGivenUp(run: Run<ConversionPayload>, error: unknown, failures: number): Promise<boolean> {
    if (!isUnclassified(error)) return false
    await run.update({}, { failure: `run ${run.claim.run}` })
    return failures + 1 >= UNCLASSIFIED_ATTEMPTS
  }

  return {
    kind: 'conversion',
    records: conversions.records,
    names: () => [...serving.values()].flatMap(({ converter, isTaking }) => (isTaking ? [converter.name] : [])),
    free(name) {
      const { most, underWay } = serving.get(name) ?? { most: 0, underWay: 0 }
      return most - underWay
    },
    carryOut,
    held: () => [...held.values()],
    setTaking(isTaking) {
      for (const each of serving.values()) each.isTaking = isTaking(each.converter)
      deps.onChange()
    },
    setPlaces(places) {
      for (const each of serving.values()) each.places.setPlaces(places)
    },
  }
}

type Serving = {
  readonly converter: Converter
  readonly places: ProgramPlaces
  /** How many conversions may be under way, with and without a program, and how many are. */
  most: number
  underWay: number
  isTaking: boolean
}

type CurrentRun = {
  readonly run: Run<ConversionPayload>
  readonly workspace: string
  readonly logFile: string
  readonly output: RunOutput
  readonly log: Logger
  readonly warnings: string[]
}

/** The result is safe: what cannot be deleted is logged and left to the keeper of workspaces. */
async function forget(folder: string, log: Logger): Promise<void> {
  const left = await tryToRemove(folder)
  if (left.length > 0) log.warn({ files: left.slice(0, 20), count: left.length }, 'files not deleted')
}

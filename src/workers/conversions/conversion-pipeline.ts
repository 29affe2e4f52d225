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
import type { Blame } from '../engine/blame.js'
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
import { createConversionProgram } from './program-failures.js'
import { createProgramPlaces, type ProgramPlaces } from './program-places.js'

export type ConversionPipelineOptions = {
  readonly hostId: string
  readonly pid: number
  readonly dataFolder: string
  readonly converters: readonly Converter[]
  /** Programs of each converter at the same time; while they are brief, two more models are downloaded and uploaded beside them. */
  readonly places: number
}

export type ConversionPipelineDeps = ConversionDeps & {
  readonly conversions: Conversions
  readonly steps: Pick<StepQueue, 'run'>
  /** Called when the host may claim more conversions, or those of other converters, than before. */
  readonly onChange: () => void
  /** A program of this converter has failed on this host. */
  readonly onProgramFailed?: (kind: 'converter', name: string, error: unknown) => void
  readonly blame: Blame
  /** One conversion at a time decides whether what is suspended on this host works again. */
  readonly isOnTrial: (kind: 'converter', name: string) => boolean
  /** Kills programs that earlier runs of a conversion have left on this host. */
  readonly sweepConversion: (conversionId: string) => Promise<void>
  /** Clears, in the background, folders of failed conversions that are too old or too many. */
  readonly tidyFolders: () => void
  readonly log: Logger
}

/** How a host carries out conversions. */
export type ConversionPipeline = Pipeline<ConversionPayload> & {
  /** Sets of which converters conversions are claimed from now on; claimed ones are finished. */
  setTaking(isTaking: (converter: Converter) => boolean): void
  /** Sets how many programs of each converter may run at the same time. */
  setPlaces(places: number): void
  /** The conversions that it works on, to compare with their records. */
  held(): readonly HeldWork[]
}

type ConversionStepName = 'download-model' | 'convert' | 'upload-model'

/** Runs in a row in which the worker died, after which a conversion fails. */
const MAX_DEATHS = 5
const PROGRESS_EVERY_MS = 500
/** Pause of a conversion that this host cannot run, in which another host may claim it. */
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
      maxActive: options.places,
      active: 0,
      isTaking: false,
      places: createProgramPlaces({
        places: options.places,
        onMaxActive(most) {
          added.maxActive = most
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
    const program = createConversionProgram(run, options.hostId, deps.blame)
    const current: CurrentRun = { run, workspace, logFile, output, program, log: runLog, warnings: [] }
    held.set(id, {
      ...{ what: `conversion ${id}`, run: claim.run, folder: workspace },
      compare: () => compareClaim(conversions.records, claim),
      end: () => undefined, // the renewal of its lease ends it
    })
    const served = serving.get(record.name)
    if (served !== undefined) served.active += 1
    try {
      await convert(current, served)
    } catch (error) {
      await settle(current, run.signal.aborted ? run.signal.reason : error)
    } finally {
      if (served !== undefined) served.active -= 1
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
    output.flush() // sent together with the end, so that Redis syncs both to its disk in one go
    await run.finish('converted', {
      ...{ files: [...files], seconds, warnings: current.warnings, failure: null, delays: 0, isUploading: false },
    })
    runLog.info({ seconds, files }, 'model converted')
    const { order } = run.record.payload
    const upload = { organization: order.organization, project: order.project, format: order.targetFormat }
    const announced = conversions.announceUpload(upload).catch(() => undefined) // the next scan finds the model anyway
    await Promise.all([announced, removeFolder(workspace, runLog)])
  }

  /** Runs the three steps; returns the names of the files that the Loop has. */
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
    const { onStart, spare } = current.program
    const program = { converter, file, logFile, owner, onStart, spare, checkFence: run.check }
    const files = await places.run(
      () => inStep(current, 'convert', (step) => runConverter(step, program, deps)),
      run.signal,
    )
    current.program.endedWell()
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
      return await removeFolder(workspace, runLog)
    }
    if (error instanceof ModelGoneError) {
      runLog.info('model no longer at the Loop')
      await run.remove()
      return await removeFolder(workspace, runLog)
    }
    if (isForOtherHosts(error)) return await run.release({ pauseMs: FOR_OTHERS_MS, isHandBack: true })
    if (failureClassOf(error) === 'program') deps.onProgramFailed?.('converter', run.record.name, error)
    const failure: ConversionFailure = toFailureFacts(error, { hostId: options.hostId, at: Date.now() })
    const again = failureClassOf(error) === 'program' ? await current.program.failed(failure) : undefined
    if (again !== undefined) {
      runLog.warn({ err: error, ...again }, 'conversion waits for another attempt')
      output.write(plainText(`failed: ${failure.message}`))
      output.flush()
      return await run.release(again)
    }
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
    // Only the log is kept: the models are large, and the source model is at the Loop.
    for (const folder of ['model', 'output']) await removeFolder(join(workspace, folder), runLog)
    deps.tidyFolders()
  }

  // An unclassified error is retried a few times only, so that the conversion fails visibly instead of being retried forever.
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
      const { maxActive, active } = serving.get(name) ?? { maxActive: 0, active: 0 }
      return (deps.isOnTrial('converter', name) ? Math.min(1, maxActive) : maxActive) - active
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
  /** The most conversions that may be active, with and without a program, and how many are. */
  maxActive: number
  active: number
  isTaking: boolean
}

type CurrentRun = {
  readonly run: Run<ConversionPayload>
  readonly workspace: string
  readonly logFile: string
  readonly output: RunOutput
  readonly program: ReturnType<typeof createConversionProgram>
  readonly log: Logger
  readonly warnings: string[]
}

/** The result is at the Loop: files that cannot be deleted are logged and left to the workspace keeper. */
async function removeFolder(folder: string, log: Logger): Promise<void> {
  const left = await tryToRemove(folder)
  if (left.length > 0) log.warn({ files: left.slice(0, 20), count: left.length }, 'files not deleted')
}

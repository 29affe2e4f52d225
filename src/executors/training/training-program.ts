import { join } from 'node:path'
import type { Logger } from '../../base/logger/index.js'
import type { TrainingOrder } from '../../loop/protocol/index.js'
import { treeFigures, type WriterWatch, watchWriters } from '../../process/figures/index.js'
import { type Program, type ProgramExit, startProgram } from '../../process/index.js'
import {
  DATASET_FOLDER,
  EVENTS_FILE,
  programEnvironment,
  setResume,
  type TrainerEvent,
  type VisibleGpu,
} from '../contract/index.js'
import type { TrainerDefinition } from '../definition/index.js'
import {
  buildCommand,
  commandValues,
  hyperparameterTexts,
  type OutputAudience,
  type OutputWatchDeps,
  openOutputWatch,
} from '../program/index.js'
import { openBestFiles } from './adapters/best-files.js'
import { createModelEpochs, type ModelEpochs } from './adapters/model-epoch.js'
import { openResultsCsv, type ResultsTable } from './adapters/results-csv.js'
import { EventQueue } from './event-queue.js'
import type { EventSource, EventSourceDeps } from './event-source.js'
import { openEventsFile } from './events-file.js'
import { writeHyperparameterFile } from './hyperparameter-file.js'
import { chooseStart } from './start-choice.js'
import { openAsideFolders } from './whole-files/aside-folders.js'
import { createSetAside } from './whole-files/set-aside.js'

export { runCommand } from '../program/index.js'

export type StartTrainingOptions = {
  readonly definition: TrainerDefinition
  /** Absolute; written by writeWorkspace, holds dataset and base model. */
  readonly workspace: string
  readonly order: TrainingOrder
  /** Resume from the checkpoint if there is one. */
  readonly resume: boolean
  /** Begin with the best model so far, which lies in the folder of the base model. */
  readonly bestModel?: boolean
  /** The leased GPUs; none on the CPU slot. */
  readonly gpus: readonly VisibleGpu[]
  readonly owner: string
  /** The worker's environment; the program gets only the allowed names. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly logFile?: string
  readonly graceMs?: number
  /** Follows its output. */
  readonly audience?: OutputAudience
}

export type RunningTraining = {
  readonly pid: number
  /** For one reader; ends when the program has ended and all its output and files were read. */
  readonly events: AsyncIterable<TrainerEvent>
  readonly exited: Promise<ProgramExit>
  /** Resolves, never rejects, when all its output and files were read; the events may still wait for their reader. */
  readonly followed: Promise<void>
  /** Whether it was ended since it gave no sign of life within the limit of the trainer file. */
  readonly hasHung: boolean
  end(options?: { readonly graceMs?: number }): Promise<ProgramExit>
  lastLines(): string[]
  /** Whether one of its last lines reports that it ran out of memory. */
  readonly isOutOfMemory: boolean
  /** CPU and memory of the program with its children; null after its end. */
  figures(): ReturnType<typeof treeFigures>
}

/**
 * Starts the training program of an order in its workspace: resumed from its checkpoint, continued from the Loop's
 * model, or from scratch. Throws LF_ORDER_NOT_POSSIBLE or LF_PROGRAM_NOT_FOUND.
 */
export async function startTraining(
  options: StartTrainingOptions,
  deps: OutputWatchDeps & { readonly say?: (line: string) => void },
): Promise<RunningTraining> {
  const { definition, workspace, order } = options
  const { command, resumes } = await chooseStart(options)
  const { placeholders, given } = commandValues(definition, order, options.gpus)
  const values = { ...placeholders, workspace, dataset: join(workspace, DATASET_FOLDER) }
  const argv = buildCommand(definition, command, values, given)
  await writeHyperparameterFile({ definition, workspace, order })
  await setResume(workspace, resumes)
  let life: SignOfLife | undefined
  const queue = new EventQueue(() => life?.seen())
  const epochs = createModelEpochs(Date.now())
  const filterLogEvent = createLogFilter(epochs, epochsOf(definition, order))
  const filterCategories = createCategoryFilter(order, deps.log)
  let writers: WriterWatch | undefined
  const setAside = createSetAside({ workspace, hasWriter: async (files) => (await writers?.(files)) ?? false })
  const folders = await openAsideFolders(workspace)
  const { log, say = () => undefined } = deps
  const sources = await openSources(options, { queue, epochs, resumes, setAside, folders, say, log })
  const watch = openOutputWatch(
    {
      definition,
      audience: options.audience,
      onEvent: (event, readAtMs) => {
        for (const passed of filterLogEvent(event, readAtMs)) queue.push({ event: passed })
      },
      onProgressOff: () => epochs.endOfLog(),
      onTurn: () => life?.seen(),
    },
    deps,
  )
  const program = await startProgram(
    {
      command: argv,
      cwd: workspace,
      env: programEnvironment(definition, {
        host: options.env ?? {},
        workspace,
        gpus: options.gpus,
        own: { LOOPFLEET_EVENTS: join(workspace, EVENTS_FILE) },
      }),
      logFile: options.logFile ?? join(workspace, 'last_training.log'),
      owner: options.owner,
      graceMs: options.graceMs,
      reader: watch.reader,
      onActivity: () => life?.seen(),
    },
    deps,
  ).catch(async (error: unknown) => {
    await watch.close()
    throw error
  })
  writers = watchWriters({ pid: program.pid, owner: options.owner })
  // From now on a file that does not change is not trusted for that: its writer may have ended.
  void program.leaderExited.then(setAside.freeze)
  const end = (endOptions?: { readonly graceMs?: number }) => {
    setAside.freeze()
    return program.end(endOptions)
  }
  const { sign_of_life_minutes: minutes } = definition
  life = watchSignOfLife(minutes === undefined ? undefined : minutes * 60_000, () => {
    const message = `it gave no sign of life for ${minutes} minutes (sign_of_life_minutes), neither a line nor an event`
    queue.push({ event: { event: 'error', message } })
    void end()
  })
  void program.exited.then(life.close)
  void program.exited.then(watch.close)
  const followed = followUntilExit(program, sources, queue)
  return {
    followed,
    pid: program.pid,
    events: readEvents(queue, filterCategories),
    exited: program.exited,
    get hasHung() {
      return life?.isMissing === true
    },
    end,
    lastLines: () => program.lastLines(),
    get isOutOfMemory() {
      return watch.isOutOfMemory
    },
    figures: () => treeFigures(program.pid),
  }
}

/**
 * The models that a program of an earlier run has left in this workspace and nobody has set aside yet, for a training
 * that is finished: none is started for them.
 */
export async function* readLeftOver(
  options: Pick<StartTrainingOptions, 'definition' | 'workspace' | 'order'>,
  deps: Pick<OutputWatchDeps, 'log'> & { readonly say: (line: string) => void },
): AsyncGenerator<TrainerEvent, void, void> {
  const { workspace, order } = options
  const queue = new EventQueue()
  const setAside = createSetAside({ workspace, hasWriter: async () => false })
  const epochs = createModelEpochs(Date.now())
  const folders = await openAsideFolders(workspace)
  const sources = await openSources(options, { ...deps, queue, epochs, resumes: true, setAside, folders })
  for (const source of sources) await source.drain({ endedWell: false })
  queue.close()
  yield* readEvents(queue, createCategoryFilter(order, deps.log))
}

type SourceDeps = EventSourceDeps & { readonly epochs: ModelEpochs; readonly resumes: boolean }

async function openSources(
  options: Pick<StartTrainingOptions, 'definition' | 'workspace' | 'order'>,
  deps: SourceDeps,
): Promise<EventSource[]> {
  const { definition, workspace, order } = options
  const push = (event: TrainerEvent) => deps.queue.push({ event })
  const events = await openEventsFile({ workspace, resume: deps.resumes }, deps)
  let table: ResultsTable | undefined
  const best = await openBestFiles(
    { workspace, definition, categories: order.categories, resume: deps.resumes },
    { ...deps, readTable: async () => await table?.look() },
  )
  const { progress } = definition
  const file = progress === 'events' ? undefined : progress.csv
  const epochs = epochsOf(definition, order)
  const firstEpoch = progress === 'events' ? undefined : progress.first_epoch
  const tableDeps = { push, onEpoch: deps.epochs.inTable, say: deps.say, log: deps.log }
  if (file !== undefined) table = await openResultsCsv({ workspace, file, epochs, firstEpoch }, tableDeps)
  return [events, table, best].filter((source) => source !== undefined)
}

/** Epochs of the log count only until the results table has some: the two may number epochs differently. */
function createLogFilter(epochs: ModelEpochs, total: number | undefined) {
  return (event: TrainerEvent, readAtMs: number): TrainerEvent[] => {
    if (event.event !== 'progress') return [event]
    if (typeof event.epoch === 'number') epochs.inLog(event.epoch, readAtMs)
    if (!epochs.hasTable) return [event]
    return total === undefined ? [{ ...event, epoch: undefined }] : []
  }
}

/** The number of epochs: a number in the trainer file, or the value of a hyperparameter (`epochs` by default). */
function epochsOf(definition: TrainerDefinition, order: TrainingOrder): number | undefined {
  const { progress } = definition
  if (progress === 'events') return undefined
  const wanted = progress.epochs ?? 'epochs'
  const declared = hyperparameterTexts(definition, order).get(String(wanted))
  const epochs = typeof wanted === 'number' ? wanted : Number(declared ?? order.hyperparameters[wanted] ?? Number.NaN)
  return epochs > 0 ? epochs : undefined
}

/** Never rejects: errors go to the reader of the queue. */
async function followUntilExit(program: Program, sources: readonly EventSource[], queue: EventQueue): Promise<void> {
  const ended = new AbortController()
  try {
    const following = Promise.all(sources.map((source) => source.follow(ended.signal)))
    await Promise.race([program.exited, following])
    const { exitCode, endedByUs } = await program.exited
    ended.abort()
    await following
    for (const source of sources) await source.drain({ endedWell: exitCode === 0, endedByUs })
    queue.close()
  } catch (error) {
    ended.abort()
    queue.fail(error)
  }
}

async function* readEvents(
  queue: EventQueue,
  filter: (event: TrainerEvent) => TrainerEvent,
): AsyncGenerator<TrainerEvent, void, void> {
  for await (const { event, confirm } of queue.read()) {
    yield filter(event)
    // The reader has handled it now. After a crash before this line the next start gets the event again.
    await confirm?.()
  }
}

/** Removes counts of unknown categories: the Loop would refuse the metrics, and the model would be lost. */
function createCategoryFilter(order: TrainingOrder, log: Logger): (event: TrainerEvent) => TrainerEvent {
  const ids = new Set(order.categories.map((category) => category.id))
  return (event) => {
    if (event.event !== 'model') return event
    const entries = Object.entries(event.confusion_matrix)
    const known = entries.filter(([id]) => ids.has(id))
    if (known.length === entries.length) return event
    log.warn({ unknown: entries.length - known.length }, 'counts of unknown category ids left out')
    return { ...event, confusion_matrix: Object.fromEntries(known) }
  }
}

/** Checks that a program gives signs of life: lines of output, or events. */
type SignOfLife = {
  seen(): void
  /** Whether there was none within the limit. */
  readonly isMissing: boolean
  close(): void
}

/** Calls back once if there was no sign of life within the limit. */
function watchSignOfLife(limitMs: number | undefined, onMissing: () => void): SignOfLife {
  let lastAt = performance.now()
  let isMissing = false
  let timer: NodeJS.Timeout | undefined
  if (limitMs !== undefined) checkIn(limitMs, limitMs)

  // One timer for many signs: when it fires, it is set again for the rest of the time since the last sign.
  function checkIn(inMs: number, limit: number): void {
    timer = setTimeout(() => {
      const leftMs = limit - (performance.now() - lastAt)
      if (leftMs > 0) return checkIn(leftMs, limit)
      isMissing = true
      onMissing()
    }, inMs)
  }

  return {
    seen() {
      lastAt = performance.now()
    },
    get isMissing() {
      return isMissing
    },
    close: () => clearTimeout(timer),
  }
}

import { basename, join } from 'node:path'
import pLimit from 'p-limit'
import type { ModelEvent } from '../contract/index.js'
import type { QueuedEvent } from './event-queue.js'
import type { EventSourceDeps, ProgramEnd } from './event-source.js'
import type { Source, Trust } from './whole-files/set-aside.js'

/** A model that the program has reported; `confirm` notes that it was handled. */
export type ReportedModel = { readonly event: ModelEvent; readonly confirm: () => Promise<void> }

/**
 * Copies (sets aside) the files of models that a program has reported, and passes the models on when their files are complete.
 * The copy is made immediately, since the program may overwrite the files. If the format does not show whether a file is
 * complete, the model waits until the file has not changed for some time, or until the next report. A model whose files
 * were overwritten, incomplete or deleted is passed on without files, since its figures are still true.
 */
export type ReportedModels = {
  /** The models of one read, oldest first. Each is better than the ones before, so one of them gets its files copied. */
  offer(models: readonly ReportedModel[]): Promise<void>
  /** Checks the model that waits. */
  poll(): Promise<void>
  /** Decides about the model that waits, after the end of the program. */
  settle(end: ProgramEnd): Promise<void>
  /** Passes on the models that a program reported before its worker died; the newest complete one with its files. */
  recover(models: readonly ReportedModel[], unchangedSinceMs: number): Promise<void>
}

type Aside = { readonly folder: string; readonly names: readonly string[] }
type Waiting = ReportedModel & { problem: string; copied?: Aside }
/** The result for a model: its copy, or why there is none; `mayComplete` if its files may become complete. */
type Outcome = { readonly aside: Aside } | { readonly problem: string; readonly mayComplete: boolean }

export function createReportedModels(workspace: string, deps: EventSourceDeps): ReportedModels {
  const { queue, setAside, folders, say, log } = deps
  let waiting: Waiting | undefined
  // One after the other: the poll and the next report come from two loops.
  const inTurn = pLimit(1)

  async function tryTake({ event }: ReportedModel, trust: Trust): Promise<Outcome> {
    const folder = folders.next()
    const sources = sourcesOf(workspace, event)
    if (sources.length === 0) return { problem: 'the report names none', mayComplete: false }
    const verdict = await setAside.take(sources, join(workspace, folder), trust)
    if (verdict.state !== 'whole') return { problem: verdict.problem, mayComplete: verdict.state === 'later' }
    folders.use(folder)
    return { aside: { folder, names: verdict.names } }
  }

  function handOn(model: ReportedModel, { folder, names }: Aside): void {
    const { event, confirm } = model
    const done = async () => {
      await confirm()
      await folders.forget(folder)
    }
    const dropFiles = () => {
      folders.drop(folder)
      return withoutFiles(model, SUPERSEDED.problem)
    }
    queue.push({ event: { ...event, files: movedFiles(event.files, folder, names) }, confirm: done, dropFiles })
  }

  function handOnWithoutFiles(model: ReportedModel, problem: string): void {
    queue.push(withoutFiles(model, problem))
  }

  function withoutFiles({ event, confirm }: ReportedModel, problem: string): QueuedEvent {
    log.warn({ epoch: event.epoch, problem }, 'files of a reported model not used')
    say(`the files of the model of epoch ${event.epoch ?? '?'} are not used: ${problem}`)
    return { event: { ...event, files: {} }, confirm }
  }

  async function begin(models: readonly ReportedModel[]): Promise<void> {
    await giveUpWaiting()
    const newest = models.at(-1)
    if (newest === undefined) return
    if (hasOneNameTwice(newest.event)) {
      handOnAll(models.slice(0, -1), [])
      return queue.push(newest) // its reader refuses it with both names
    }
    const first = await tryTake(newest, 'rest')
    if ('aside' in first) return handOnAll(models, [first])
    // Its format does not show it. This copy, of a time without a writer, is used if no complete one follows.
    const copy = first.mayComplete ? await tryTake(newest, { unchangedSinceMs: Date.now() }) : first
    const copied = 'aside' in copy ? copy.aside : undefined
    const older = models.slice(0, -1)
    handOnAll(older, copied === undefined ? await newestWhole(older, { unchangedSinceMs: Date.now() }, [newest]) : [])
    waiting = { ...newest, problem: first.problem, ...(copied && { copied }) }
  }

  /** Copies the newest model that is complete; returns the results, newest first, up to that one. `later` were reported after them. */
  async function newestWhole(
    models: readonly ReportedModel[],
    trust: Trust,
    later: readonly ReportedModel[] = [],
  ): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    const taken = new Set(later.flatMap(({ event }) => pathsOf(event)))
    for (const model of models.toReversed()) {
      const outcome = isOverwritten(model, taken) ? OVERWRITTEN : await tryTake(model, trust)
      outcomes.push(outcome)
      if ('aside' in outcome) break
      for (const path of pathsOf(model.event)) taken.add(path)
    }
    return outcomes
  }

  /** Passes the models on in order. Those without a result are older than one that was copied. */
  function handOnAll(models: readonly ReportedModel[], newestFirst: readonly Outcome[]): void {
    for (const [index, model] of models.entries()) {
      const outcome = newestFirst[models.length - 1 - index] ?? SUPERSEDED
      if ('aside' in outcome) handOn(model, outcome.aside)
      else handOnWithoutFiles(model, outcome.problem)
    }
  }

  async function checkWaiting(): Promise<void> {
    if (waiting === undefined) return
    const outcome = await tryTake(waiting, 'rest')
    if ('aside' in outcome) await handOnWaiting(outcome.aside)
    else waiting.problem = outcome.problem
  }

  async function handOnWaiting(aside: Aside): Promise<void> {
    const model = waiting
    waiting = undefined
    if (model === undefined) return
    if (model.copied !== undefined && model.copied.folder !== aside.folder) await folders.forget(model.copied.folder)
    handOn(model, aside)
  }

  async function giveUpWaiting(): Promise<void> {
    if (waiting?.copied !== undefined) return await handOnWaiting(waiting.copied)
    if (waiting !== undefined) handOnWithoutFiles(waiting, waiting.problem)
    waiting = undefined
  }

  async function settle({ endedWell, endedByUs }: ProgramEnd): Promise<void> {
    if (waiting === undefined) return
    const outcome = await tryTake(waiting, endedWell && !endedByUs ? 'program-ended-well' : 'rest')
    if ('aside' in outcome) return await handOnWaiting(outcome.aside)
    waiting.problem = outcome.problem
    await giveUpWaiting()
  }

  async function recover(models: readonly ReportedModel[], unchangedSinceMs: number): Promise<void> {
    const usable = models.filter(({ event }) => !hasOneNameTwice(event))
    handOnAll(usable, await newestWhole(usable, { unchangedSinceMs }))
  }

  return {
    offer: (models) => inTurn(() => begin(models)),
    poll: () => inTurn(checkWaiting),
    settle: (end) => inTurn(() => settle(end)),
    recover: (models, unchangedSinceMs) => inTurn(() => recover(models, unchangedSinceMs)),
  }
}

const OVERWRITTEN = { problem: 'a later model has the same files', mayComplete: false }
const SUPERSEDED = { problem: 'a better model came before they were copied', mayComplete: false }

function isOverwritten({ event }: ReportedModel, taken: ReadonlySet<string>): boolean {
  return pathsOf(event).some((path) => taken.has(path))
}

function pathsOf({ files }: ModelEvent): string[] {
  return Object.values(files).flat()
}

function sourcesOf(workspace: string, { files }: ModelEvent): Source[] {
  const paths = new Set(Object.values(files).flat())
  return [...paths].map((path) => ({ path: join(workspace, path), name: basename(path) }))
}

function hasOneNameTwice({ files }: ModelEvent): boolean {
  const paths = new Set(Object.values(files).flat())
  return new Set([...paths].map((path) => basename(path))).size < paths.size
}

/** The paths of the copies. Files to which others refer are added to the first format; all are in one folder. */
function movedFiles(files: ModelEvent['files'], folder: string, names: readonly string[]): ModelEvent['files'] {
  const named = new Set(
    Object.values(files)
      .flat()
      .map((path) => basename(path)),
  )
  const more = names.filter((name) => !named.has(name))
  const entries = Object.entries(files).map(([format, paths], index) => {
    const own = paths.map((path) => basename(path))
    return [format, [...own, ...(index === 0 ? more : [])].map((name) => join(folder, name))] as const
  })
  return Object.fromEntries(entries)
}

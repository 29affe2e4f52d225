import { basename, join } from 'node:path'
import pLimit from 'p-limit'
import type { ModelEvent } from '../contract/index.js'
import type { QueuedEvent } from './event-queue.js'
import type { EventSourceDeps, ProgramEnd } from './event-source.js'
import type { Source, Trust } from './whole-files/set-aside.js'

/** A model that the program has reported, and what is to be written down once it is dealt with. */
export type ReportedModel = { readonly event: ModelEvent; readonly confirm: () => Promise<void> }

/**
 * Sets models that a program has reported aside, and hands them on when they are whole. The copy is made immediately, since
 * the program may write the next model over it; a file whose format does not tell whether it is whole must rest after
 * that. The next report ends the wait: the program has gone on. A model whose files were overwritten, torn or deleted
 * before that is handed on without files: its figures are true nevertheless.
 */
export type ReportedModels = {
  /** The models of one read, oldest first. Each is better than the ones before, so one of them gets its files copied. */
  offer(models: readonly ReportedModel[]): Promise<void>
  /** Looks at the one that waits again. */
  poll(): Promise<void>
  /** The program has ended: nothing changes any more. */
  settle(end: ProgramEnd): Promise<void>
  /** Hands on what a program reported whose worker has died, the newest that is whole with its files. */
  recover(models: readonly ReportedModel[], unchangedSinceMs: number): Promise<void>
}

type Aside = { readonly folder: string; readonly names: readonly string[] }
type Waiting = ReportedModel & { problem: string; copied?: Aside }
/** What became of a model: set aside, or why not; it may become whole by waiting. */
type Outcome = { readonly aside: Aside } | { readonly problem: string; readonly mayCome: boolean }

export function createReportedModels(workspace: string, deps: EventSourceDeps): ReportedModels {
  const { queue, setAside, folders, say, log } = deps
  let waiting: Waiting | undefined
  // One after the other: the poll and the next report come from two loops.
  const inTurn = pLimit(1)

  async function tryTake({ event }: ReportedModel, trust: Trust): Promise<Outcome> {
    const folder = folders.next()
    const sources = sourcesOf(workspace, event)
    if (sources.length === 0) return { problem: 'the report names none', mayCome: false }
    const verdict = await setAside.take(sources, join(workspace, folder), trust)
    if (verdict.state !== 'whole') return { problem: verdict.problem, mayCome: verdict.state === 'later' }
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
    // Its format does not tell. The copy counts when nothing better comes; it is of a moment without a writer.
    const copy = first.mayCome ? await tryTake(newest, { unchangedSinceMs: Date.now() }) : first
    const copied = 'aside' in copy ? copy.aside : undefined
    const older = models.slice(0, -1)
    handOnAll(older, copied === undefined ? await newestWhole(older, { unchangedSinceMs: Date.now() }, [newest]) : [])
    waiting = { ...newest, problem: first.problem, ...(copied && { copied }) }
  }

  /** What became of the models, newest first, until one is whole; `later` were reported after them. */
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

  /** In order; those for which there is no outcome are older than one that is set aside, or were overwritten. */
  function handOnAll(models: readonly ReportedModel[], newestFirst: readonly Outcome[]): void {
    for (const [index, model] of models.entries()) {
      const outcome = newestFirst[models.length - 1 - index] ?? SUPERSEDED
      if ('aside' in outcome) handOn(model, outcome.aside)
      else handOnWithoutFiles(model, outcome.problem)
    }
  }

  async function again(): Promise<void> {
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
    poll: () => inTurn(again),
    settle: (end) => inTurn(() => settle(end)),
    recover: (models, unchangedSinceMs) => inTurn(() => recover(models, unchangedSinceMs)),
  }
}

const OVERWRITTEN = { problem: 'a later model has the same files', mayCome: false }
const SUPERSEDED = { problem: 'a better model came before they were copied', mayCome: false }

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

/** What the files refer to goes with the first format; in a set they all lie in one folder. */
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

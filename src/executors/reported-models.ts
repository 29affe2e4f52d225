import { basename, join } from 'node:path'
import type { EventSourceDeps, ProgramEnd } from './event-source.js'
import type { ModelEvent } from './events.js'
import type { Source, Trust } from './whole-files/set-aside.js'

/** A model that the program has reported, and what is to be written down once it is dealt with. */
export type ReportedModel = { readonly event: ModelEvent; readonly confirm: () => Promise<void> }

/**
 * Sets models that a program has reported aside, and hands them on when they are whole. The copy is made at once, since
 * the program may write the next model over it; a file whose format does not tell whether it is whole must rest after
 * that. The next report ends the wait: the program has gone on.
 */
export type ReportedModels = {
  offer(model: ReportedModel): Promise<void>
  /** Looks at the one that waits again. */
  poll(): Promise<void>
  /** The program has ended: nothing changes any more. */
  settle(end: ProgramEnd): Promise<void>
  /** Hands on the newest that is whole of what a program reported whose worker has died. */
  recover(models: readonly ReportedModel[], unchangedSinceMs: number): Promise<void>
}

type Waiting = ReportedModel & {
  problem: string
  copied?: { readonly folder: string; readonly names: readonly string[] }
}

export function createReportedModels(workspace: string, deps: EventSourceDeps): ReportedModels {
  const { queue, setAside, folders, say, log } = deps
  let waiting: Waiting | undefined
  let last: Promise<void> = Promise.resolve()

  // One after the other: the poll and the next report come from two loops.
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return turn
  }

  async function tryTake({ event }: ReportedModel, trust: Trust) {
    const folder = folders.next()
    const verdict = await setAside.take(sourcesOf(workspace, event), join(workspace, folder), trust)
    if (verdict.state === 'whole') folders.use(folder)
    return { folder, verdict }
  }

  function handOn({ event, confirm }: ReportedModel, folder: string, names: readonly string[]): void {
    const done = async () => {
      await confirm()
      await folders.forget(folder)
    }
    queue.push({ event: { ...event, files: movedFiles(event.files, folder, names) }, confirm: done })
  }

  async function begin(model: ReportedModel): Promise<void> {
    if (hasOneNameTwice(model.event)) return queue.push(model) // its reader refuses it with both names
    await giveUpWaiting()
    const { folder, verdict } = await tryTake(model, 'rest')
    if (verdict.state === 'whole') return handOn(model, folder, verdict.names)
    waiting = { ...model, problem: verdict.problem }
    if (verdict.state !== 'later') return
    // Its format does not tell. The copy counts when nothing better comes; it is of a moment without a writer.
    const copy = await tryTake(model, { unchangedSinceMs: Date.now() })
    if (copy.verdict.state === 'whole') waiting.copied = { folder: copy.folder, names: copy.verdict.names }
  }

  async function again(): Promise<void> {
    if (waiting === undefined) return
    const { folder, verdict } = await tryTake(waiting, 'rest')
    if (verdict.state === 'whole') await handOnWaiting(folder, verdict.names)
    else waiting.problem = verdict.problem
  }

  async function handOnWaiting(folder: string, names: readonly string[]): Promise<void> {
    const model = waiting
    waiting = undefined
    if (model === undefined) return
    if (model.copied !== undefined && model.copied.folder !== folder) await folders.forget(model.copied.folder)
    handOn(model, folder, names)
  }

  async function giveUpWaiting(): Promise<void> {
    if (waiting?.copied !== undefined) return await handOnWaiting(waiting.copied.folder, waiting.copied.names)
    if (waiting === undefined) return
    passOver(waiting, waiting.problem)
    await waiting.confirm()
    waiting = undefined
  }

  async function settle({ endedWell, endedByUs }: ProgramEnd): Promise<void> {
    if (waiting === undefined) return
    const { folder, verdict } = await tryTake(waiting, endedWell && !endedByUs ? 'program-ended-well' : 'rest')
    if (verdict.state === 'whole') return await handOnWaiting(folder, verdict.names)
    waiting.problem = verdict.problem
    await giveUpWaiting()
  }

  async function recover(models: readonly ReportedModel[], unchangedSinceMs: number): Promise<void> {
    for (const model of models.toReversed()) {
      if (hasOneNameTwice(model.event)) continue
      const { folder, verdict } = await tryTake(model, { unchangedSinceMs })
      if (verdict.state === 'whole') return handOn(model, folder, verdict.names)
      passOver(model, verdict.problem)
    }
  }

  function passOver({ event }: ReportedModel, problem: string): void {
    log.warn({ epoch: event.epoch, problem }, 'reported model not used')
    say(`the model of epoch ${event.epoch ?? '?'} is not used: ${problem}`)
  }

  return {
    offer: (model) => inTurn(() => begin(model)),
    poll: () => inTurn(again),
    settle: (end) => inTurn(() => settle(end)),
    recover: (models, unchangedSinceMs) => inTurn(() => recover(models, unchangedSinceMs)),
  }
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

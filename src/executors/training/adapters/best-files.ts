import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { hasCode, readJsonFile, writeJsonFile } from '../../../base/index.js'
import type { Category, ConfusionMatrix } from '../../../loop/protocol/index.js'
import type { ModelEvent } from '../../contract/index.js'
import type { TrainerDefinition } from '../../definition/index.js'
import type { EventSource, EventSourceDeps, ProgramEnd } from '../event-source.js'
import { ASIDE } from '../whole-files/aside-folders.js'
import { deadLinkProblem } from '../whole-files/dead-link.js'
import type { SetAside, Source, Trust } from '../whole-files/set-aside.js'
import { readBestMetrics } from './best-metrics.js'
import { type BestFiles, bestNames } from './best-names.js'
import { type DatedFile, epochInName, type ModelEpochs } from './model-epoch.js'

export type BestFilesOptions = {
  readonly workspace: string
  readonly definition: Pick<TrainerDefinition, 'best' | 'format'>
  readonly categories: readonly Category[]
  /** Whether the program goes on from its checkpoint. */
  readonly resume: boolean
  readonly everyMs?: number
}
type Found = DatedFile & { readonly path: string; readonly mark: string }

const HANDED_OVER = join(ASIDE, 'handed-over.json')
const handedOverSchema = z.object({ marks: z.array(z.string()) })

/**
 * Finds new best models of a script that cannot be changed: files that match `best.files`, with class counts by
 * category name in `best.metrics`. A model is set aside when its files and its metrics are whole, since such scripts
 * overwrite and delete their files as they like.
 */
export async function openBestFiles(
  options: BestFilesOptions,
  deps: EventSourceDeps & {
    readonly epochs: ModelEpochs
    /** Brings `epochs` up to date with the results table. */
    readonly readTable?: () => Promise<void>
  },
): Promise<EventSource | undefined> {
  const { workspace, definition, resume, everyMs = 500 } = options
  if (definition.best === 'events') return undefined
  const best: BestFiles = definition.best
  const { setAside, folders } = deps
  const handedOver = resume ? await readHandedOver(workspace) : undefined
  const before = await findFiles(workspace, best, setAside)
  const seen = new Set(before.map(({ mark }) => mark))
  const notYet = new Map<string, string>()
  const passedOver = await openPassedOver(workspace, { resume })

  async function scan(): Promise<void> {
    for (const source of besideOf(workspace, best)) await setAside.keepRested(source)
    for (const file of await freshFiles()) await tryTake(file, { trust: 'rest', isLast: false })
  }

  /** The program has ended: what is not whole now never will be. */
  async function takeRest({ endedWell, endedByUs }: ProgramEnd): Promise<void> {
    const trust = endedWell && !endedByUs ? 'program-ended-well' : 'rest'
    for (const file of await freshFiles()) await takeOrReport(file, trust)
    for (const { path } of await bestNames(workspace, best)) {
      const problem = await deadLinkProblem(join(workspace, path))
      if (problem !== undefined) await sayNotUsed({ path, mark: path }, problem)
    }
  }

  // The worker may have been killed between the appearance of a model and now: the newest that is whole is taken.
  async function takeLeftOver(): Promise<void> {
    if (!resume) return
    for (const file of before.filter(({ mark }) => handedOver?.marks.includes(mark) !== true).toReversed()) {
      if ((await takeOrReport(file, 'rest')) === 'taken') return
    }
  }

  async function freshFiles(): Promise<Found[]> {
    const fresh = (await findFiles(workspace, best, setAside)).filter((file) => !seen.has(file.mark))
    for (const file of fresh) deps.epochs.saw(file)
    return fresh
  }

  async function takeOrReport(file: Found, trust: Trust): Promise<string> {
    const problem = await tryTake(file, { trust, isLast: true })
    if (problem === 'taken') return problem
    await sayNotUsed(file, problem)
    return problem
  }

  async function sayNotUsed({ path, mark }: Pick<Found, 'path' | 'mark'>, problem: string): Promise<void> {
    if (!(await passedOver.isNew(mark, problem)))
      return deps.log.debug({ file: path, problem }, 'best model still not used')
    deps.log.warn({ file: path, problem }, 'best model not used')
    deps.say(`the best model ${path} is not used: ${problem}`)
  }

  /** Returns `taken` or why not. */
  async function tryTake(file: Found, how: { readonly trust: Trust; readonly isLast: boolean }): Promise<string> {
    // A model is never lost for want of its counts: once nobody writes them any more, they are unknown.
    const measured = await readMetrics(file)
    if (measured === undefined && !how.isLast) return `its metrics ${metricsPath(best, file.path)} are not whole`
    const matrix = measured ?? {}
    const folder = folders.next()
    const sources = [modelOf(workspace, best, file), ...besideOf(workspace, best)]
    const verdict = await setAside.take(sources, join(workspace, folder), how.trust)
    if (verdict.state !== 'whole') {
      reportOnce(file, verdict.problem)
      return verdict.problem
    }
    if (measured === undefined) {
      deps.say(`the counts of ${file.path} are unknown: there is no whole ${metricsPath(best, file.path)}`)
    }
    folders.use(folder)
    seen.add(file.mark)
    await deps.readTable?.()
    handOn(file, { folder, names: verdict.names, matrix })
    return 'taken'
  }

  /** Undefined while the metrics are not there or half written; empty for a trainer that has none. */
  async function readMetrics(file: Found): Promise<ConfusionMatrix | undefined> {
    const path = metricsPath(best, file.path)
    if (path === undefined) return {}
    const metrics = await readBestMetrics(join(workspace, path), options.categories)
    if (metrics === undefined) return undefined
    const { matrix, ignored } = metrics
    if (ignored.length > 0) deps.log.warn({ file: path, names: ignored.slice(0, 20) }, 'counts of a best model ignored')
    return matrix
  }

  // While it is written that is the rule; what is worth a line is a file that is missing beside it.
  function reportOnce(file: Found, problem: string): void {
    if (notYet.get(file.path) === problem) return
    notYet.set(file.path, problem)
    deps.log.debug({ file: file.path, problem }, 'best model not set aside yet')
  }

  type Taken = { readonly folder: string; readonly names: readonly string[]; readonly matrix: ConfusionMatrix }

  function handOn(file: Found, { folder, names, matrix }: Taken): void {
    const event: ModelEvent = {
      event: 'model',
      epoch: deps.epochs.of(file),
      files: { [definition.format]: names.map((name) => join(folder, name)) },
      confusion_matrix: matrix,
    }
    const note = { marks: [...seen] }
    const confirm = async () => {
      await writeJsonFile(join(workspace, HANDED_OVER), note)
      await publish(workspace, best, file, setAside)
      await folders.forget(folder)
    }
    const dropFiles = () => {
      folders.drop(folder)
      return { event: { ...event, files: {} }, confirm }
    }
    deps.queue.push({ event, confirm, dropFiles })
  }

  await takeLeftOver()
  return {
    async follow(signal) {
      while (!signal.aborted) {
        await scan()
        await sleep(everyMs, undefined, { signal }).catch(() => undefined) // an abort ends the loop
      }
    },
    drain: takeRest,
  }
}

async function readHandedOver(workspace: string) {
  return await readJsonFile(join(workspace, HANDED_OVER), handedOverSchema).catch(() => undefined)
}

function modelOf(workspace: string, best: BestFiles, { path }: Found): Source {
  return { path: join(workspace, path), name: best.as ?? `model${extname(path)}` }
}

function besideOf(workspace: string, best: BestFiles): Source[] {
  return (best.with ?? []).map((path) => ({ path: join(workspace, path), name: basename(path), isBeside: true }))
}

/** Oldest epoch first; the mark changes when a file is written again. */
async function findFiles(workspace: string, best: BestFiles, setAside: SetAside): Promise<Found[]> {
  const names = await bestNames(workspace, best)
  const found = await Promise.all(names.map(({ path, star }) => look(workspace, path, star, setAside)))
  return found.filter((file) => file !== undefined).sort((a, b) => numberOf(a) - numberOf(b))
}

async function look(
  workspace: string,
  path: string,
  star: string | undefined,
  setAside: SetAside,
): Promise<Found | undefined> {
  const found = await setAside.look(join(workspace, path))
  if (found === undefined || found.size === 0 || !found.isFile) return undefined
  const { mtimeMs, bornMs, mark } = found
  return { path, mtimeMs, bornMs, named: epochInName(basename(path), star), mark: `${path} ${mark}` }
}

function numberOf({ named }: Found): number {
  return named?.epoch ?? 0
}

function metricsPath(best: BestFiles, path: string): string | undefined {
  return best.metrics === undefined
    ? undefined
    : join(dirname(path), best.metrics.replaceAll('{stem}', basename(path, extname(path))))
}

/**
 * Moves the file of a model that was set aside to where the script's resume command looks for it, and deletes what is
 * older: such scripts keep the weights of every new best epoch until the disk is full.
 */
async function publish(workspace: string, best: BestFiles, file: Found, setAside: SetAside): Promise<void> {
  if (best.publish === undefined) return
  const target = join(workspace, best.publish)
  await mkdir(dirname(target), { recursive: true })
  try {
    await rename(join(workspace, file.path), target)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error // the script itself has deleted it meanwhile
  }
  const older = (await findFiles(workspace, best, setAside)).filter((other) => numberOf(other) < numberOf(file))
  for (const { path } of older) await rm(join(workspace, path), { force: true })
  for (const { path } of [...older, file]) {
    const metrics = metricsPath(best, path)
    if (metrics !== undefined) await rm(join(workspace, metrics), { force: true })
  }
}

const PASSED_OVER = join(ASIDE, 'passed-over.json')
const passedOverSchema = z.object({ said: z.array(z.string()) })
/** Such a script keeps every best model until its disk is full. */
const MAX_KEPT = 1000

/** Files whose skipping was reported, kept in the workspace: a resumed program finds the same files again. */
type PassedOver = {
  /** Whether it is the first time that this is said of this state of a file. */
  isNew(state: string, problem: string): Promise<boolean>
}

async function openPassedOver(workspace: string, { resume }: { readonly resume: boolean }): Promise<PassedOver> {
  const file = join(workspace, PASSED_OVER)
  const kept = resume ? await readJsonFile(file, passedOverSchema).catch(() => undefined) : undefined // lines are said again then
  const said = new Set(kept?.said)
  return {
    async isNew(state, problem) {
      const entry = `${state}: ${problem}`
      if (said.has(entry)) return false
      said.add(entry)
      await writeJsonFile(file, { said: [...said].slice(-MAX_KEPT) })
      return true
    },
  }
}

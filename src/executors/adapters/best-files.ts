import { constants } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { hasCode, readJsonFile, removeTree, writeJsonFile } from '../../base/files.js'
import type { Logger } from '../../base/logger.js'
import type { Category, ConfusionMatrix } from '../../loop/protocol/index.js'
import type { TrainerDefinition } from '../definition.js'
import type { EventQueue } from '../event-queue.js'
import type { ModelEvent } from '../events.js'
import type { EventSource } from '../events-file.js'
import { readBestMetrics } from './best-metrics.js'
import { type DatedFile, epochInName, type ModelEpochs } from './model-epoch.js'

export type BestFilesOptions = {
  readonly workspace: string
  readonly definition: Pick<TrainerDefinition, 'best' | 'format'>
  readonly categories: readonly Category[]
  /** Whether the program goes on from its checkpoint. */
  readonly resume: boolean
  readonly everyMs?: number
}
type BestFiles = Exclude<TrainerDefinition['best'], 'events'>
type Found = DatedFile & { readonly path: string; readonly mark: string }

const FOLDER = 'best'
const HANDED_OVER = join(FOLDER, 'handed-over.json')
const KEPT = 5
const handedOverSchema = z.object({ marks: z.array(z.string()) })

/**
 * Finds new best models of a script that cannot be changed: files that match `best.files`, with class counts by
 * category name in `best.metrics`. A model is taken when its size rests and its metrics are whole, and is copied to
 * `best/<number>/`, since such scripts overwrite and delete their files as they like.
 */
export async function openBestFiles(
  options: BestFilesOptions,
  deps: { readonly queue: EventQueue; readonly epochs: ModelEpochs; readonly log: Logger },
): Promise<EventSource | undefined> {
  const { workspace, definition, everyMs = 500 } = options
  if (definition.best === 'events') return undefined
  const best: BestFiles = definition.best
  const seen = await alreadySeen(workspace, best, options.resume)
  let resting = new Set<string>()
  let taken = (await takenFolders(workspace)).at(-1) ?? 0

  async function scan(final: boolean): Promise<void> {
    const fresh = (await findFiles(workspace, best)).filter((file) => !seen.has(file.mark))
    for (const file of final ? fresh : fresh.filter(({ mark }) => resting.has(mark))) {
      // A model is never lost for want of its counts: once nobody writes them any more, they are unknown.
      const matrix = (await readMetrics(file)) ?? (final ? {} : undefined)
      if (matrix === undefined) continue
      seen.add(file.mark)
      await take(file, matrix)
    }
    resting = new Set(fresh.map(({ mark }) => mark))
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

  async function take(file: Found, matrix: ConfusionMatrix): Promise<void> {
    const folder = join(FOLDER, String(taken + 1).padStart(6, '0'))
    const files = await copyAside(workspace, folder, best, file.path)
    if (files === undefined) {
      deps.log.warn({ file: file.path }, 'best model vanished before it was copied')
      return
    }
    taken += 1
    const event: ModelEvent = {
      event: 'model',
      epoch: deps.epochs.of(file),
      files: { [definition.format]: files },
      confusion_matrix: matrix,
    }
    const marks = [...seen]
    const confirm = async () => {
      await writeJsonFile(join(workspace, HANDED_OVER), { marks })
      await publish(workspace, best, file)
    }
    deps.queue.push({ event, confirm })
  }

  return {
    async follow(signal) {
      while (!signal.aborted) {
        await scan(false)
        await sleep(everyMs, undefined, { signal }).catch(() => undefined) // an abort ends the loop
      }
    },
    drain: () => scan(true),
  }
}

/**
 * A first start takes nothing that lies there already. A resumed one takes the newest file, if nobody has dealt with
 * it: the worker may have been killed between its appearance and now.
 */
async function alreadySeen(workspace: string, best: BestFiles, resume: boolean): Promise<Set<string>> {
  const marks = (await findFiles(workspace, best)).map((file) => file.mark)
  if (!resume) return new Set(marks)
  const handedOver = await readJsonFile(join(workspace, HANDED_OVER), handedOverSchema).catch(() => undefined)
  const open = marks.filter((mark) => handedOver?.marks.includes(mark) !== true)
  return new Set(marks.filter((mark) => mark !== open.at(-1)))
}

/** Oldest epoch first; the mark changes when a file is written again. */
async function findFiles(workspace: string, best: BestFiles): Promise<Found[]> {
  const folder = dirname(best.files)
  const expression = nameExpression(basename(best.files))
  const names = await readdir(join(workspace, folder)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  })
  const found = await Promise.all(
    names.flatMap((name) => {
      const match = expression.exec(name)
      return match === null ? [] : [look(workspace, join(folder, name), match[1])]
    }),
  )
  return found.filter((file) => file !== undefined).sort((a, b) => numberOf(a) - numberOf(b))
}

async function look(workspace: string, path: string, star: string | undefined): Promise<Found | undefined> {
  try {
    const { size, mtimeMs, ino } = await stat(join(workspace, path))
    const mark = `${path} ${ino} ${size} ${mtimeMs}`
    return size === 0 ? undefined : { path, mtimeMs, named: epochInName(basename(path), star), mark }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined // deleted while we looked
    throw error
  }
}

function numberOf({ named }: Found): number {
  return named?.epoch ?? 0
}

function nameExpression(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('(.*)')}$`)
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
async function publish(workspace: string, best: BestFiles, file: Found): Promise<void> {
  if (best.publish === undefined) return
  const target = join(workspace, best.publish)
  await mkdir(dirname(target), { recursive: true })
  try {
    await rename(join(workspace, file.path), target)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error // the script itself has deleted it meanwhile
  }
  const older = (await findFiles(workspace, best)).filter((found) => numberOf(found) < numberOf(file))
  for (const { path } of older) await rm(join(workspace, path), { force: true })
  for (const { path } of [...older, file]) {
    const metrics = metricsPath(best, path)
    if (metrics !== undefined) await rm(join(workspace, metrics), { force: true })
  }
}

async function copyAside(
  workspace: string,
  folder: string,
  best: BestFiles,
  path: string,
): Promise<string[] | undefined> {
  const model = best.as ?? `model${extname(path)}`
  const sources = [{ from: path, name: model }, ...(best.with ?? []).map((from) => ({ from, name: basename(from) }))]
  const partial = join(workspace, `${folder}.partial`)
  await removeTree(partial)
  await mkdir(partial, { recursive: true })
  try {
    for (const { from, name } of sources) {
      await copyFile(join(workspace, from), join(partial, name), constants.COPYFILE_FICLONE)
    }
  } catch (error) {
    await removeTree(partial)
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  await rename(partial, join(workspace, folder))
  await forgetOlder(workspace)
  return sources.map(({ name }) => join(folder, name))
}

/** The last ones may still be waiting for the reader; what is older was set aside long ago. */
async function forgetOlder(workspace: string): Promise<void> {
  for (const number of (await takenFolders(workspace)).slice(0, -KEPT)) {
    await removeTree(join(workspace, FOLDER, String(number).padStart(6, '0')))
  }
}

async function takenFolders(workspace: string): Promise<number[]> {
  const names = await readdir(join(workspace, FOLDER)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  const numbers = names.filter((name) => /^\d{6}$/.test(name)).map(Number)
  return numbers.sort((a, b) => a - b)
}

import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { z } from 'zod'
import { hasCode, messageOf, removeTree, safePathSegment } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { InferenceError } from '../basics/index.js'
import { type ExternalImage, outputError, sizeOf } from '../findings/external-output.js'
import { emptyFindings, type Findings, type FindingsOptions } from '../findings/findings.js'
import { addGiven, givenFindingsSchema } from '../findings/given-findings.js'
import { parseLabels } from './external-labels.js'

export type ExternalDetectOptions = FindingsOptions & {
  readonly images: readonly ExternalImage[]
  /** Its folders `images` and `output` are created again. */
  readonly folder: string
  readonly signal: AbortSignal
}

export type ExternalDetectDeps = {
  /** Runs the prepared command over the folder of images until it has ended well, or throws. */
  run(folders: { readonly images: string; readonly output: string }, signal: AbortSignal): Promise<unknown>
  readonly log: Logger
}

/**
 * Detects with a program: links the images as `<id>.jpg` into one folder, runs it, and reads `detections.json` or YOLO
 * `labels/<id>.txt` from its output. Every image has an entry in the answer. Throws LF_DETECT_OUTPUT for bad output.
 */
export async function detectExternally(
  options: ExternalDetectOptions,
  deps: ExternalDetectDeps,
): Promise<Map<string, Findings>> {
  const { images, signal } = options
  const findings = new Map(images.map(({ id }) => [id, emptyFindings()]))
  if (images.length === 0) return findings // many programs fail on an empty folder
  const folders = await prepareFolders(options)
  await deps.run(folders, signal)
  signal.throwIfAborted()
  const dropped = await readOutput(folders.output, findings, options)
  if (dropped > 0) deps.log.warn({ dropped }, 'detections with a number that is not finite were dropped')
  return findings
}

async function prepareFolders({ folder, images, signal }: ExternalDetectOptions) {
  const folders = { images: resolve(folder, 'images'), output: resolve(folder, 'output') }
  for (const path of [folders.images, folders.output]) {
    await removeTree(path)
    await mkdir(path, { recursive: true })
  }
  for (const { id, path } of images) {
    signal.throwIfAborted()
    await symlink(resolve(path), join(folders.images, `${safePathSegment(id)}.jpg`))
  }
  return folders
}

/** Fills in what the program wrote; returns how many detections had to be dropped. */
async function readOutput(output: string, findings: Map<string, Findings>, options: ExternalDetectOptions) {
  const images = new Map(options.images.map((image) => [image.id, image]))
  const file = join(output, 'detections.json')
  const json = await readIfThere(file)
  if (json !== undefined) {
    await addDetectionsFile(file, json, { images, findings, options })
    return 0 // JSON has no NaN
  }

  const labels = await findLabels(output)
  let dropped = 0
  for (const name of await readdir(labels)) {
    if (extname(name) !== '.txt') continue
    options.signal.throwIfAborted()
    const path = join(labels, name)
    const image = images.get(basename(name, '.txt'))
    if (image === undefined) throw outputError(`${path} belongs to none of the images`)
    const found = await parseLabels(path, await readFile(path, 'utf8'), image, options)
    findings.set(image.id, found.findings)
    dropped += found.dropped
  }
  return dropped
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return undefined
    throw new InferenceError('LF_DETECT_OUTPUT', `${path} cannot be read: ${messageOf(cause)}.`, {
      cause,
      failure: 'program',
    })
  }
}

// The public scripts put `labels` into a run's folder of its own, below the output they were given.
async function findLabels(output: string): Promise<string> {
  const entries = await readdir(output, { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  if (folders.includes('labels')) return join(output, 'labels')
  const below: string[] = []
  for (const folder of folders) {
    const inside = await readdir(join(output, folder), { withFileTypes: true })
    if (inside.some((entry) => entry.isDirectory() && entry.name === 'labels')) below.push(folder)
  }
  const [only] = below
  if (only !== undefined && below.length === 1) return join(output, only, 'labels')
  const problem =
    below.length === 0 ? 'neither detections.json nor labels/' : `more than one labels/: ${below.join(', ')}`
  throw outputError(`The detect command ended well, but ${output} has ${problem}`)
}

const entrySchema = givenFindingsSchema.extend({ image_id: z.string() })
type Entry = z.infer<typeof entrySchema>

/** `detections.json` of a detect command: one entry per image; images without a finding may be left out. */
const detectionsFileSchema = z.array(entrySchema)

type DetectionsFileTarget = {
  readonly images: ReadonlyMap<string, ExternalImage>
  readonly findings: ReadonlyMap<string, Findings>
  readonly options: FindingsOptions
}

/** Adds the entries of the file to the findings of their images; throws LF_DETECT_OUTPUT naming entry and key. */
async function addDetectionsFile(path: string, text: string, target: DetectionsFileTarget): Promise<void> {
  const entries = parseEntries(path, text)
  for (const [index, entry] of entries.entries()) {
    const where = `${path}: ${index}`
    const image = target.images.get(entry.image_id)
    const findings = target.findings.get(entry.image_id)
    if (image === undefined || findings === undefined) {
      throw outputError(`${where}.image_id "${entry.image_id}" is none of the images`)
    }
    addGiven(findings, entry, { size: await sizeOf(image), where, options: target.options })
  }
}

function parseEntries(path: string, text: string): Entry[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw outputError(`${path} is not JSON (${messageOf(cause)}); NaN and Infinity are not allowed in it`)
  }
  const parsed = detectionsFileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw outputError(`${path}: ${issue?.path.join('.')}: ${issue?.message}`)
}

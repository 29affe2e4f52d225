import { join } from 'node:path'
import { z } from 'zod'
import { messageOf, readJsonFile, writeJsonFile } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { versionChoiceSchema } from '../../loop/protocol/index.js'
import { ModelVersionError } from './errors.js'
import type { InstalledModel } from './installed-model.js'
import type { ModelDownload } from './model-download.js'
import { isVersionName, type ModelTarget, modelTargetSchema } from './target.js'

export type VersionChoice =
  | { readonly mode: 'follow_loop' }
  | { readonly mode: 'pause' }
  | { readonly mode: 'specific_version'; readonly target: ModelTarget }

const choiceSchema: z.ZodType<VersionChoice> = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('follow_loop') }),
  z.strictObject({ mode: z.literal('pause') }),
  z.strictObject({ mode: z.literal('specific_version'), target: modelTargetSchema }),
])

const FILE = 'version_control.json'

/** What was chosen before; undefined if nothing was. Throws LF_FILE_INVALID. */
export async function readVersionChoice(dataFolder: string): Promise<VersionChoice | undefined> {
  return await readJsonFile(join(dataFolder, FILE), choiceSchema)
}

export async function writeVersionChoice(dataFolder: string, choice: VersionChoice): Promise<void> {
  await writeJsonFile(join(dataFolder, FILE), choice)
}

export type ResolveDeps = {
  readonly models: ModelDownload
  readonly format: string
  readonly installed: () => Promise<readonly InstalledModel[]>
  readonly log: Logger
}

/** Turns the text of a request into a choice; a version must be one of the Loop's models. Throws LF_DETECTOR_VERSION. */
export async function resolveVersionChoice(
  text: string,
  deps: ResolveDeps,
  options: { readonly signal: AbortSignal },
): Promise<VersionChoice> {
  const parsed = versionChoiceSchema.safeParse(text.trim())
  if (!parsed.success) {
    const given = JSON.stringify(text.length <= 100 ? text : `${text.slice(0, 97)}...`)
    throw new ModelVersionError(`${given} is neither "follow_loop" nor "pause" nor a version such as "1.3".`)
  }
  const choice = parsed.data
  if (choice === 'follow_loop' || choice === 'pause') return { mode: choice }
  return { mode: 'specific_version', target: await findVersion(choice, deps, options) }
}

async function findVersion(
  version: string,
  deps: ResolveDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<ModelTarget> {
  if (!isVersionName(version)) throw new ModelVersionError(`"${version}" cannot be a version.`)
  let entries: Awaited<ReturnType<ModelDownload['list']>>
  try {
    entries = await deps.models.list({ signal })
  } catch (error) {
    signal.throwIfAborted()
    return await findOnDisk(version, deps, error)
  }
  const matches = entries.filter((entry) => entry.version === version)
  const [match] = matches
  if (match === undefined) throw new ModelVersionError(`The Loop has no model of version ${version}.`)
  if (matches.length > 1) {
    throw new ModelVersionError(`The Loop has ${matches.length} models of version ${version}, so none can be chosen.`)
  }
  if (match.formats.length > 0 && !match.formats.includes(deps.format)) {
    const formats = match.formats.slice(0, 10).join(', ')
    throw new ModelVersionError(`The model of version ${version} comes as ${formats}, not as ${deps.format}.`)
  }
  return { id: match.id, version }
}

// While the Loop is unreachable, a version that is on disk can still be chosen.
async function findOnDisk(version: string, deps: ResolveDeps, cause: unknown): Promise<ModelTarget> {
  const matches = (await deps.installed()).filter((model) => model.version === version)
  const [match] = matches
  if (match !== undefined && matches.length === 1) {
    deps.log.info({ version, reason: messageOf(cause) }, 'version chosen among those on disk')
    return { id: match.id, version }
  }
  throw new ModelVersionError(`Version ${version} cannot be looked up: ${messageOf(cause)}`, { cause })
}

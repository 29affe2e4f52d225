import { z } from 'zod'
import { retry } from '../../../base/index.js'
import {
  type DataAnswer,
  type DeploymentTarget,
  type Detections,
  type DetectorReport,
  dataAnswerSchema,
  deploymentTargetSchema,
  describeError,
  type ImageData,
  type ImageState,
  imageDataSchema,
  type ModelEntry,
  maxImagesPerRequest,
  modelsAnswerSchema,
  type ProjectAnswer,
  type ProjectEntry,
  paths,
  projectAnswerSchema,
  projectsAnswerSchema,
  type TrainingsAnswer,
  trainingsAnswerSchema,
} from '../../protocol/index.js'
import { LoopAnswerError, LoopRequestError } from './errors.js'
import type { LoopRequest, LoopResponse, LoopSession } from './session.js'

type CallOptions = { readonly signal?: AbortSignal }
/** With a model version the answer holds what that model found. */
type ImageDataOptions = CallOptions & { readonly modelVersion?: string }

/** What the Loop answered about a chunk of images: `odd` are entries that are not image data, with the reason. */
type ImageDataChunk = {
  readonly images: ImageData[]
  readonly odd: readonly { readonly id: string | undefined; readonly problem: string }[]
}

/**
 * The Loop's REST calls, checked by the protocol's schemas. Reading calls are tried three times when a failure may
 * pass; writing calls once, since their effect may have happened although the answer was lost.
 */
export type LoopRest = {
  status(options?: CallOptions): Promise<void>
  /** Ids of the images in one state, or of all. */
  imageIds(organization: string, project: string, state?: ImageState, options?: CallOptions): Promise<string[]>
  data(organization: string, project: string, state?: ImageState, options?: CallOptions): Promise<DataAnswer>
  /** One chunk of at most 100 images; ids that the Loop does not know are missing. Throws when an entry is odd. */
  imageData(
    organization: string,
    project: string,
    ids: readonly string[],
    options?: ImageDataOptions,
  ): Promise<ImageData[]>
  /** The same, with odd entries told apart. */
  imageDataChunk(
    organization: string,
    project: string,
    ids: readonly string[],
    options?: ImageDataOptions,
  ): Promise<ImageDataChunk>
  projects(options?: CallOptions): Promise<ProjectEntry[]>
  /** A project by the `resource` of its entry. */
  project(resource: string, options?: CallOptions): Promise<ProjectAnswer>
  models(
    organization: string,
    project: string,
    options?: CallOptions & { readonly format?: string },
  ): Promise<ModelEntry[]>
  /** The models of a project by the `resource` of its entry. */
  modelsOf(resource: string, options?: CallOptions): Promise<ModelEntry[]>
  trainings(organization: string, project: string, options?: CallOptions): Promise<TrainingsAnswer>
  /** Undefined while the project has no target. */
  deploymentTarget(organization: string, project: string, options?: CallOptions): Promise<DeploymentTarget | undefined>
  postDetections(
    organization: string,
    project: string,
    detections: readonly Detections[],
    options?: CallOptions,
  ): Promise<void>
  postDetectorReport(
    organization: string,
    project: string,
    report: DetectorReport,
    options?: CallOptions,
  ): Promise<void>
}

const READ_ATTEMPTS = 3

export function createLoopRest(session: LoopSession): LoopRest {
  function read<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    options: CallOptions,
  ): Promise<z.output<Schema>> {
    const request: LoopRequest = { method: 'GET', path, signal: options.signal }
    return patiently(options, async () => parseAnswer(request, await session.request(request), schema))
  }

  async function write(request: LoopRequest): Promise<void> {
    await session.request(request)
  }

  const rest: LoopRest = {
    async status(options = {}) {
      await session.request({ method: 'GET', path: paths.status(), login: false, signal: options.signal })
    },
    async imageIds(organization, project, state, options) {
      return (await rest.data(organization, project, state, options)).image_ids
    },
    data: (organization, project, state, options = {}) =>
      read(paths.data(organization, project, state), dataAnswerSchema, options),
    async imageData(organization, project, ids, options = {}) {
      const { images, odd } = await rest.imageDataChunk(organization, project, ids, options)
      const [first] = odd
      if (first === undefined) return images
      throw new LoopAnswerError({ call: `GET image data of ${first.id ?? 'an image'}`, problem: first.problem })
    },
    async imageDataChunk(organization, project, ids, options = {}) {
      if (ids.length === 0) return { images: [], odd: [] }
      if (ids.length > maxImagesPerRequest) throw new RangeError(`${ids.length} ids in one chunk of image data`)
      const path = paths.images(organization, project, ids, options.modelVersion)
      return sortEntries((await read(path, imageEntriesSchema, options)).images)
    },
    async projects(options = {}) {
      return (await read(paths.projects(), projectsAnswerSchema, options)).projects
    },
    project: (resource, options = {}) => read(paths.resource(resource), projectAnswerSchema, options),
    async models(organization, project, options = {}) {
      return (await read(paths.models(organization, project, options.format), modelsAnswerSchema, options)).models
    },
    async modelsOf(resource, options = {}) {
      return (await read(paths.resource(resource, 'models'), modelsAnswerSchema, options)).models
    },
    trainings: (organization, project, options = {}) =>
      read(paths.trainings(organization, project), trainingsAnswerSchema, options),
    async deploymentTarget(organization, project, options = {}) {
      try {
        return await read(paths.deploymentTarget(organization, project), deploymentTargetSchema, options)
      } catch (error) {
        if (error instanceof LoopRequestError && error.details.status === 404) return undefined
        throw error
      }
    },
    postDetections: (organization, project, detections, options = {}) =>
      write({
        method: 'POST',
        path: paths.detections(organization, project),
        json: detections,
        signal: options.signal,
      }),
    postDetectorReport: (organization, project, report, options = {}) =>
      write({
        method: 'POST',
        path: paths.detectors(organization, project),
        json: report,
        accept: (status) => status >= 200 && status < 300,
        signal: options.signal,
      }),
  }
  return rest
}

/** The checked body of an answer. Throws LF_LOOP_ANSWER. */
export function parseAnswer<Schema extends z.ZodType>(
  request: LoopRequest,
  response: LoopResponse,
  schema: Schema,
): z.output<Schema> {
  const call = `${request.method} ${request.path}`
  let body: unknown
  try {
    body = JSON.parse(response.body.toString('utf8'))
  } catch {
    throw new LoopAnswerError({ call, problem: response.body.length === 0 ? 'it is empty' : 'it is not JSON' })
  }
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new LoopAnswerError({ call, problem: describeError(parsed.error, body) })
}

/** Tries a reading call again while that may help; the Loop's long absences are the queue's business. */
function patiently<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
  const signal = options.signal ?? new AbortController().signal
  return retry(work, { signal, attempts: READ_ATTEMPTS, backOff: { firstMs: 300, maxMs: 3000 } })
}

// Entry by entry, so that one odd image does not hide the other ninety-nine.
const imageEntriesSchema = z.looseObject({ images: z.array(z.unknown()) })

function sortEntries(entries: readonly unknown[]): ImageDataChunk {
  const images: ImageData[] = []
  const odd: { id: string | undefined; problem: string }[] = []
  for (const entry of entries) {
    const parsed = imageDataSchema.safeParse(entry)
    if (parsed.success) images.push(parsed.data)
    else odd.push({ id: idOf(entry), problem: describeError(parsed.error, entry) })
  }
  return { images, odd }
}

function idOf(entry: unknown): string | undefined {
  if (typeof entry !== 'object' || entry === null || !('id' in entry)) return undefined
  return typeof entry.id === 'string' ? entry.id : undefined
}

import { join } from 'node:path'
import { removeTree, writeJsonFile } from '../../../base/index.js'
import type { Findings } from '../../../inference/index.js'
import { type Detections, imageStates, type ModelJson, toDetections } from '../../../loop/protocol/index.js'
import { NoModelError } from '../errors.js'
import { watchEventLoop } from '../event-loop-delay.js'
import { type Detector, openDetector } from '../open-detector.js'
import type { Stage, StageContext, StageDeps } from './stage.js'

/** Entries per file in the detections folder; upload-detections reads them one file at a time. */
const IMAGES_PER_FILE = 200

/**
 * Downloads the uploaded model from the Loop, which has given it a version, runs it on all images of the project in the
 * thread pool, and writes the detections to files. A repeated attempt starts from the first image, since it is quick.
 */
export const detect: Stage = {
  name: 'detect',
  kind: 'detect',
  loopStates: { during: 'detecting', after: 'detected' },
  reportsProgress: true,
  errorKey: 'detecting',
  onStop: 'optional',
  servesUpload: false,
  results: ({ paths }) => [paths.detections],
  run,
}

async function run(context: StageContext, deps: StageDeps) {
  const { training } = context
  const { model, ids } = await fetchBoth(context, deps)
  await removeTree(training.paths.detections)

  const detector = await openDetector(
    { training, model, signal: context.signal, log: context.log, audience: context.audience },
    deps,
  )
  const eventLoop = watchEventLoop()
  try {
    const found = await detectAll(ids, { context, deps, detector, version: model.version })
    context.say(`${found.images} images on ${detector.threadIds().length} threads, ${found.detections} detections`)
    return { ...found, threads: detector.threadIds().length, eventLoopDelayP99Ms: eventLoop.p99Ms() }
  } finally {
    eventLoop.stop()
    await detector.close()
  }
}

/** If one download fails, the other is aborted and awaited: the next attempt uses the same folders. */
async function fetchBoth(context: StageContext, deps: StageDeps) {
  const failure = new AbortController()
  const signal = AbortSignal.any([context.signal, failure.signal])
  const endOther = (error: unknown): never => {
    failure.abort(error)
    throw error
  }
  const model = downloadUploadedModel({ ...context, signal }, deps).catch(endOther)
  const ids = fetchImages({ ...context, signal }, deps).catch(endOther)
  await Promise.allSettled([model, ids])
  failure.signal.throwIfAborted() // with the first error
  return { model: await model, ids: await ids }
}

async function downloadUploadedModel(context: StageContext, deps: StageDeps): Promise<ModelJson & { version: string }> {
  const { training, signal } = context
  const { modelId } = await training.record()
  if (modelId === null) throw new NoModelError('No model was uploaded for this training, so nothing can be detected.')
  const { organization, project } = training.order
  const format = training.definition.detect?.format ?? training.definition.format
  await removeTree(training.paths.deployedModel)
  const folder = training.paths.deployedModel
  const { modelJson } = await deps.models.download({ organization, project, modelId, format, folder, signal })
  const version = modelJson?.version
  if (modelJson === undefined || version === undefined) {
    throw new NoModelError(`Model ${modelId} came back from the Loop without a version in its model.json.`)
  }
  await training.update({ modelVersion: version })
  return { ...modelJson, version }
}

async function fetchImages(context: StageContext, deps: StageDeps): Promise<string[]> {
  const { training, signal } = context
  const { organization, project } = training.order
  const lists = await Promise.all(
    imageStates.map((state) => deps.rest.imageIds(organization, project, state, { signal })),
  )
  context.progress({ progress: 0.4 })
  const ids = [...new Set(lists.flat())]
  const { available } = await deps.images.fetchImages({ organization, project, ids, signal })
  context.progress({ progress: 0.5 })
  return available
}

type Work = {
  readonly context: StageContext
  readonly deps: StageDeps
  readonly detector: Detector
  readonly version: string
}

async function detectAll(ids: readonly string[], work: Work) {
  const { context, detector } = work
  let unreadable = 0
  let detections = 0
  for (let start = 0, file = 0; start === 0 || start < ids.length; start += IMAGES_PER_FILE, file += 1) {
    context.signal.throwIfAborted()
    const batch = ids.slice(start, start + IMAGES_PER_FILE)
    const entries: Detections[] = []
    for await (const { id, result } of detector.detect(batch)) {
      if (result === undefined) unreadable += 1
      else entries.push(toEntry(id, result, work))
      context.progress({ progress: 0.5 + (0.5 * (start + entries.length)) / ids.length })
    }
    detections += entries.reduce((sum, entry) => sum + count(entry), 0)
    await writeJsonFile(join(context.training.paths.detections, `detections_${file}.json`), entries)
  }
  return { images: ids.length - unreadable, unreadable, detections }
}

function toEntry(id: string, found: Findings, { version, deps }: Work): Detections {
  const from = { model_name: version }
  const lists = {
    box_detections: found.box_detections.map((box) => ({ ...box, ...from })),
    point_detections: found.point_detections.map((point) => ({ ...point, ...from })),
    segmentation_detections: found.segmentation_detections.map((segment) => ({ ...segment, ...from })),
    classification_detections: found.classification_detections.map((one) => ({ ...one, ...from })),
  }
  return toDetections(lists, { imageId: id, at: new Date() }, deps.dialect)
}

function count(entry: Detections): number {
  const { box_detections, point_detections, segmentation_detections, classification_detections } = entry
  return [box_detections, point_detections, segmentation_detections, classification_detections].flat().length
}

import { messageOf } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Findings } from '../../inference/index.js'
import type { Dialect } from '../../loop/protocol/index.js'
import type { DetectFacts } from './image-facts.js'
import { toJpeg } from './jpeg.js'
import { type ImageJson, toDetectAnswer, toImageMetadata, toSavedDetection } from './metadata.js'
import type { ClientImage, DetectorFilter, DetectorModels, DetectorOutbox, DetectWork } from './parts.js'

export type DetectionDeps = {
  readonly models: Pick<DetectorModels, 'use'>
  readonly outbox: Pick<DetectorOutbox, 'save'>
  readonly filter: DetectorFilter
  readonly now: () => number
  readonly log: Logger
  /** Called with the error when an image could not be put into the outbox, and with null after the next one that could. */
  readonly onSaved: (problem: string | null) => void
}

/** Detects an image in the pool, puts it into the outbox if the Loop should see it, and returns the findings. */
export type Detection = {
  detect(image: ClientImage, facts: DetectFacts, work: DetectWork): Promise<ImageJson>
  /** The same for several images of one camera, in their order; one bad image fails all. */
  detectBatch(images: readonly ClientImage[], facts: DetectFacts, work: DetectWork): Promise<ImageJson[]>
}

export function createDetection(options: { readonly dialect: Dialect }, deps: DetectionDeps): Detection {
  const { dialect } = options
  const { models, outbox, filter, now } = deps

  async function finish(image: ClientImage, findings: Findings, facts: DetectFacts, version: string) {
    const { tags, source, creationDate: created, cameraId } = facts
    const metadata = toImageMetadata(findings, version, { tags, source, created })
    const stamp = { dialect, at: new Date(now()) }
    const answer = toDetectAnswer(metadata, stamp)
    const causes = causesOf(findings, facts)
    if (causes === undefined) return answer
    try {
      const saved = toSavedDetection(metadata, { causes, cameraId }, stamp)
      await outbox.save({ image: { bytes: await toJpeg(image) }, metadata: saved })
      deps.onSaved(null)
    } catch (error) {
      // The client gets its findings even if the disk is full.
      deps.log.error({ err: error }, 'image detected, but not put into the outbox')
      deps.onSaved(messageOf(error))
    }
    return answer
  }

  function causesOf(findings: Findings, facts: DetectFacts): readonly string[] | undefined {
    if (facts.autoupload === 'disabled') return undefined
    if (facts.autoupload === 'all') return []
    const causes = filter.causes(findings, facts.cameraId)
    return causes.length === 0 ? undefined : causes
  }

  return {
    async detect(image, facts, work) {
      // With autoupload disabled the bytes are not needed after the detection, so they may be moved to the thread.
      const poolWork = { ...work, mayMove: facts.autoupload === 'disabled' }
      const { detections, version } = await models.use(async (model) => ({
        detections: (await model.pool.detect(image, poolWork)).detections,
        version: model.version,
      }))
      return finish(image, detections, facts, version)
    },
    async detectBatch(images, facts, work) {
      const { results, version } = await models.use(async (model) => ({
        results: await model.pool.detectBatch(images, work),
        version: model.version,
      }))
      const answers: ImageJson[] = []
      // One after the other, since the filter remembers what it has seen.
      for (const [index, { detections }] of results.entries()) {
        const image = images[index]
        if (image !== undefined) answers.push(await finish(image, detections, facts, version))
      }
      return answers
    },
  }
}

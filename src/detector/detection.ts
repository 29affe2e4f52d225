import { messageOf } from '../base/errors.js'
import type { Logger } from '../base/logger.js'
import type { Findings } from '../inference/findings.js'
import type { Dialect } from '../loop/protocol/index.js'
import { type DetectAnswer, toDetectAnswer } from './answers.js'
import type { ImageFacts } from './image-facts.js'
import { toJpeg } from './jpeg.js'
import type { ClientImage, DetectorFilter, DetectorModels, DetectorOutbox, DetectWork } from './parts.js'
import { toDetectedUpload } from './uploads.js'

export type DetectionDeps = {
  readonly models: Pick<DetectorModels, 'use'>
  readonly outbox: Pick<DetectorOutbox, 'save'>
  readonly filter: DetectorFilter
  readonly now: () => number
  readonly log: Logger
  /** Hears of an image that was detected but could not be kept, and (null) of the next one that was. */
  readonly onKept: (problem: string | null) => void
}

/** One way of an image: into the pool, findings to the client, and to the outbox what the Loop should see. */
export type Detection = {
  detect(image: ClientImage, facts: ImageFacts, work: DetectWork): Promise<DetectAnswer>
  /** The same for several images of one camera, in their order; one bad image fails all. */
  detectBatch(images: readonly ClientImage[], facts: ImageFacts, work: DetectWork): Promise<DetectAnswer[]>
}

export function createDetection(options: { readonly dialect: Dialect }, deps: DetectionDeps): Detection {
  const { dialect } = options
  const { models, outbox, filter, now } = deps

  async function finish(image: ClientImage, findings: Findings, facts: ImageFacts, version: string) {
    const context = { version, dialect, at: new Date(now()) }
    const answer = toDetectAnswer(findings, facts, context)
    const causes = causesOf(findings, facts)
    if (causes === undefined) return answer
    try {
      const metadata = toDetectedUpload(answer, facts, causes, context)
      await outbox.save({ image: { bytes: await toJpeg(image) }, metadata })
      deps.onKept(null)
    } catch (error) {
      // What was found is worth more to the client than an error about a full disk.
      deps.log.error({ err: error }, 'image detected, but not kept for the Loop')
      deps.onKept(messageOf(error))
    }
    return answer
  }

  function causesOf(findings: Findings, facts: ImageFacts): readonly string[] | undefined {
    if (facts.autoupload === 'disabled') return undefined
    if (facts.autoupload === 'all') return []
    const causes = filter.causes(findings, facts.cameraId)
    return causes.length === 0 ? undefined : causes
  }

  return {
    async detect(image, facts, work) {
      const { detections, version } = await models.use(async (model) => ({
        ...(await model.pool.detect(image, work)),
        version: model.version,
      }))
      return finish(image, detections, facts, version)
    },
    async detectBatch(images, facts, work) {
      const { results, version } = await models.use(async (model) => ({
        results: await model.pool.detectBatch(images, work),
        version: model.version,
      }))
      const answers: DetectAnswer[] = []
      // One after the other, since the filter remembers what it has seen.
      for (const [index, { detections }] of results.entries()) {
        const image = images[index]
        if (image !== undefined) answers.push(await finish(image, detections, facts, version))
      }
      return answers
    },
  }
}

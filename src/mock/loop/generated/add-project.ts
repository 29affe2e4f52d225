import { z } from 'zod'
import { categorySchema, type GeneratorConfig, generatorConfigSchema } from '../../../loop/protocol/index.js'
import type { LoopContext } from '../context.js'
import { generateProject } from '../generator/project.js'
import { createRandom } from '../generator/random.js'
import { checked } from '../judge/checks.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'
import type { ImageRecord } from '../store/records.js'
import { addGeneratedTrainings } from './trainings.js'

/** The generator's order as this server reads it: missing and 0 box annotations differ, and ids may be given. */
const localGeneratorConfigSchema = generatorConfigSchema.extend({
  box_annotations: z.int().min(0).max(100).optional(),
  image_ids: z.array(z.uuid()).optional(),
})
export type LocalGeneratorConfig = Partial<GeneratorConfig> & { project_name: string; image_ids?: string[] }

export type GeneratedAnswer = { readonly organization: string; readonly project: string; readonly image_count: number }

const MAX_IMAGES = 100_000

/**
 * Generates a project of drawn shapes. Throws a refusal when there is one of that name (409) or the order is bad. After an
 * abort nothing is left of it.
 */
export async function addProject(
  context: LoopContext,
  organization: string,
  body: unknown,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<GeneratedAnswer> {
  const config = checked(localGeneratorConfigSchema, body, 'generator')
  const count = config.complete + config.review + config.annotate + config.inbox
  if (count > MAX_IMAGES) throw new RefusedError(422, `generator: at most ${MAX_IMAGES} images, got ${count}.`)
  const seed = config.seed ?? context.seed
  const generated = generateProject(config, seed)
  const categories = generated.categories.map((category) => categorySchema.parse(category))
  const project = await context.store.create(organization, config.project_name, categories)
  try {
    await drawImages(project, generated.images, config, signal)
    await addGeneratedTrainings(context, project, config, seed)
  } catch (error) {
    await context.store.remove(organization, config.project_name, { keepImages: false })
    throw error
  }
  context.log.info({ project: project.name, images: project.images.size }, 'project generated')
  return { organization, project: config.project_name, image_count: project.images.size }
}

async function drawImages(
  project: Project,
  images: ReturnType<typeof generateProject>['images'],
  config: z.output<typeof localGeneratorConfigSchema>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hidesBoxes = config.box_annotations === 0
  for await (const { id, jpeg, state, set, width, height, truth } of images) {
    signal?.throwIfAborted()
    await project.writeImage(id, jpeg)
    const random = createRandom(`${id}/tags`)
    const annotated = state === 'complete' || state === 'review'
    const record: ImageRecord = {
      id,
      created: project.record.created,
      state,
      set,
      width,
      height,
      source: null,
      tags: config.tags === 0 ? [] : [`tag ${random.int(1, config.tags)}`],
      truth: { boxes: [...truth.boxes], points: [...truth.points], segmentations: truth.segmentations.map(copy) },
      annotated: annotated && !hidesBoxes,
      segmentations: [],
      metadata: null,
    }
    await project.putImages([record])
  }
}

function copy<Item extends { points: readonly { x: number; y: number }[] }>(item: Item) {
  return { ...item, points: [...item.points] }
}

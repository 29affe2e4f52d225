import { categoriesOf, type GeneratedCategory } from './categories.js'
import { type ImageState, imageStates, knownImageIds, type ShapesConfig } from './config.js'
import { IMAGE_HEIGHT, IMAGE_WIDTH, planScene, type Truth } from './plan.js'
import { uuidOf } from './random.js'
import { renderScene } from './render.js'

export type GeneratedImage = {
  readonly id: string
  readonly state: ImageState
  readonly set: 'train' | 'test'
  readonly width: number
  readonly height: number
  readonly jpeg: Buffer
  readonly truth: Truth
}

export type GeneratedProject = {
  readonly categories: readonly GeneratedCategory[]
  /** Drawn while they are read, a few at a time. */
  readonly images: AsyncIterable<GeneratedImage>
}

/** A project of drawn shapes: the same config and seed give the same ids, pixels and truth. */
export function generateProject(config: ShapesConfig, seed: number): GeneratedProject {
  const categories = categoriesOf(config, seed)
  return { categories, images: drawAhead(planImages(config, seed), (image) => draw(config, categories, image), 4) }
}

type PlannedImage = Omit<GeneratedImage, 'width' | 'height' | 'jpeg' | 'truth'> & { readonly key: string }

function planImages(config: ShapesConfig, seed: number): PlannedImage[] {
  const share = config.train_share ?? 0.8
  const ids = config.image_ids ?? knownImageIds[config.project_name] ?? []
  const planned = imageStates.flatMap((state) =>
    Array.from({ length: config[state] ?? 0 }, (_, index) => {
      const key = `${seed}/${config.project_name}/${state}/${index}`
      const isTrain = Math.floor((index + 1) * share + 1e-9) > Math.floor(index * share + 1e-9)
      return { id: uuidOf(key), key, state, set: isTrain ? ('train' as const) : ('test' as const) }
    }),
  )
  return planned.map((image, index) => ({ ...image, id: ids[index] ?? image.id }))
}

async function draw(config: ShapesConfig, categories: readonly GeneratedCategory[], image: PlannedImage) {
  const { key, ...rest } = image
  const scene = planScene(config, categories, key)
  return { ...rest, width: IMAGE_WIDTH, height: IMAGE_HEIGHT, jpeg: await renderScene(scene, key), truth: scene.truth }
}

async function* drawAhead<In, Out>(items: readonly In[], work: (item: In) => Promise<Out>, ahead: number) {
  const running: Promise<Out>[] = []
  for (const item of items) {
    const next = work(item)
    next.catch(() => undefined) // reported when it is awaited below
    running.push(next)
    const first = running.length > ahead ? running.shift() : undefined
    if (first !== undefined) yield await first
  }
  for (const rest of running) yield await rest
}

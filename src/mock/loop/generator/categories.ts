import type { ShapesConfig } from './config.js'
import { uuidOf } from './random.js'
import { boxShapes } from './shapes.js'

const pointShapes = ['cross', 'dot'] as const

export type GeneratedCategory = {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly hotkey: string
  readonly color: string
  readonly point_size: number | null
  readonly type: 'box' | 'point' | 'segmentation'
}

const LABEL_COLORS = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#008080', '#9a6324', '#808000'] as const

/** The categories of a project: box categories are shapes, points are crosses and dots, segmentations are blobs. */
export function categoriesOf(config: ShapesConfig, seed: number): GeneratedCategory[] {
  const named = [
    ...namesOf(boxShapes, config.box_categories ?? 0).map((name) => ({ name, type: 'box' as const })),
    ...namesOf(pointShapes, config.point_categories ?? 0).map((name) => ({ name, type: 'point' as const })),
    ...namesOf(['blob'], config.segmentation_categories ?? 0).map((name) => ({ name, type: 'segmentation' as const })),
  ]
  return named.map(({ name, type }, index) => ({
    id: uuidOf(`${seed}/${config.project_name}/category/${name}`),
    name,
    description: '',
    hotkey: index < 9 ? `${index + 1}` : '',
    color: LABEL_COLORS[index % LABEL_COLORS.length] ?? LABEL_COLORS[0],
    point_size: type === 'point' ? 20 : null,
    type,
  }))
}

/** Past the last known shape the names go on as `circle 2`, which look like the first ones. */
function namesOf(known: readonly string[], count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const round = Math.floor(i / known.length)
    return `${known[i % known.length]}${round === 0 ? '' : ` ${round + 1}`}`
  })
}

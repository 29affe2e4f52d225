import { join } from 'node:path'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { answerSchema, segmentationAnnotationSchema } from '../../src/loop/protocol/index.js'
import { type LocalLoop, startLocalLoop } from '../../src/mock/loop/index.js'
import { startCli } from '../../test/helpers/cli-process.js'
import { iouOf } from '../../test/helpers/polygons.js'
import { until } from '../../test/helpers/until.js'
import { type Bench, compare, type Figure, type FigureLine, percentile } from '../figure.js'
import { boxAround, type DrawnImage, drawImage } from '../parts/drawn-objects.js'
import { basicEnvironment } from '../parts/measured-child.js'

const O = 'zauberzeug'
const P = 'objects'
const MOVES = 20

/** How fast the segmentation tool answers a person at the Loop, and how well it outlines. */
export const annotator: Figure = { name: 'annotator', title: 'Outlining objects in an image', measure }

async function* measure(bench: Bench): AsyncGenerator<FigureLine> {
  const loop = await startLocalLoop({ folder: join(bench.folder, 'loop') }, { log: silentLogger() })
  const node = await startCli({
    args: ['annotator', '--data', join(bench.folder, 'data')],
    env: { ...basicEnvironment(), LOOP_HOST: loop.host, LOOPFLEET_LOG_LEVEL: 'warn' },
    logFile: join(bench.folder, 'annotator.log'),
  })
  try {
    await loop.generate({ project_name: P, segmentation_categories: 1 })
    const id = String(node.facts.uuid)
    await until('the annotator is connected', () => loop.node(id)?.connected)
    const category: unknown = (await ask(loop, 'GET', `/api/${O}/projects/${P}/data`)).categories[0]
    for (const factor of [1, 2.5]) {
      const seen: Seen = { moveMs: [], boxMs: [], iou: [] }
      for (let number = 0; number < bench.size(30, 2); number++) {
        bench.say(`image ${number + 1} of ${factor * 640}x${factor * 480}`)
        await outlineAll(loop, id, category, await drawImage(bench.seed, number, factor), seen)
      }
      const name = `annotator.${factor * 640}x${factor * 480}`
      // Each value is one figure over many inputs, not a median over runs.
      const line = (what: string, unit: string, better: 'lower' | 'higher', value: number) =>
        compare({ name: `${name}.${what}`, unit, better, ours: [value] })
      yield line('move-p95', 'ms', 'lower', percentile(seen.moveMs, 0.95))
      yield line('box-p50', 'ms', 'lower', percentile(seen.boxMs, 0.5))
      yield line('box-p95', 'ms', 'lower', percentile(seen.boxMs, 0.95))
      yield line('iou-mean', '', 'higher', seen.iou.reduce((sum, iou) => sum + iou, 0) / seen.iou.length)
      yield line('iou-p5', '', 'higher', percentile(seen.iou, 0.05))
    }
  } finally {
    await node.end()
    await loop.close()
  }
}

type Seen = { readonly moveMs: number[]; readonly boxMs: number[]; readonly iou: number[] }

async function outlineAll(loop: LocalLoop, node: string, category: unknown, image: DrawnImage, seen: Seen) {
  const imageId = await upload(loop, image.jpeg)
  const context = { organization: O, project: P }
  for (const [index, outline] of image.outlines.entries()) {
    const say = async (event_type: string, x: number, y: number) => {
      const data = { coordinate: { x, y }, event_type, context, image_uuid: imageId, category }
      const body = { frontend_id: `${imageId}/${index}`, data }
      const startedAt = performance.now()
      const { ack } = await ask(loop, 'POST', `/api/local/nodes/${node}/user-input`, body)
      const ms = performance.now() - startedAt
      const { success, error_msg } = answerSchema.parse(ack)
      if (!success) throw new Error(`The annotator refused: ${error_msg}`)
      return ms
    }
    const { x, y, width, height } = boxAround(outline)
    await say('left_mouse_down', x, y) // the first of an image fetches it
    for (let move = 1; move <= MOVES; move++) {
      const share = move / MOVES
      seen.moveMs.push(await say('mouse_move', Math.round(x + width * share), Math.round(y + height * share)))
    }
    seen.boxMs.push(await say('left_mouse_up', x + width, y + height))
    const { images } = await ask(loop, 'GET', `/api/${O}/projects/${P}/images?ids=${imageId}`)
    const made = z.array(segmentationAnnotationSchema).parse(images[0].segmentation_annotations)[index]
    seen.iou.push(made === undefined ? 0 : iouOf(made.shape.points, outline, image.width, image.height))
  }
}

async function upload(loop: LocalLoop, jpeg: Buffer): Promise<string> {
  const form = new FormData()
  form.append('files', new Blob(['{"box_detections":[]}'], { type: 'application/json' }), 'image.json')
  form.append('files', new Blob([Uint8Array.from(jpeg)], { type: 'image/jpeg' }), 'image.jpg')
  const response = await fetch(`${loop.url}/api/${O}/projects/${P}/images`, { method: 'POST', body: form })
  const [id = ''] = z.object({ image_ids: z.array(z.string()) }).parse(await response.json()).image_ids
  return id
}

// biome-ignore lint/suspicious/noExplicitAny: what is used of it is parsed
async function ask(loop: LocalLoop, method: string, path: string, body?: object): Promise<any> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${loop.url}${path}`, { method, headers, body: body && JSON.stringify(body) })
  if (!response.ok) throw new Error(`The local Loop answered ${response.status} to ${path}.`)
  return await response.json()
}

import { setTimeout as sleep } from 'node:timers/promises'
import axios from 'axios'
import FormData from 'form-data'
import { io } from 'socket.io-client'
import { z } from 'zod'
import { LoopfleetError } from '../../base/index.js'
import type { LoopControl } from './loop-control.js'
import { type DemoDeps, fact, type Parts } from './start-parts.js'

const IMAGES = 20
const LOADED_WITHIN_MS = 30_000
const ARRIVED_WITHIN_MS = 20_000
/** What the filter calls uncertain. */
const UNCERTAIN = { from: 0.3, to: 0.6 }

const foundSchema = z.object({ box_detections: z.array(z.object({ confidence: z.number() })) })
type Found = z.output<typeof foundSchema>
const versionSchema = z.object({ current_version: z.string() })

/** What the demo saw of its detector, for the summary. */
export type DetectorFacts = {
  readonly model_version: string
  readonly images: number
  readonly boxes: number
  /** Median milliseconds from an image to its detections, one after the other. */
  readonly ms: { readonly rest: number; readonly socket: number }
  /** Images with something uncertain in them, and how many of them the Loop has in its inbox. */
  readonly uncertain: number
  readonly arrived: number
}

/** Deploys the model, lets a detector find things in images of the inbox, and waits for the uncertain ones to come back. */
export async function detectOnce(
  { project, model }: { readonly project: string; readonly model: { readonly id: string; readonly version: string } },
  parts: Parts,
  { control, context, view }: DemoDeps & { readonly control: LoopControl },
): Promise<DetectorFacts> {
  view.say(`\nDeploying model ${model.version} to a detector …`)
  await control.deploy(project, model.id)
  const where = { LOOP_ORGANIZATION: control.organization, LOOP_PROJECT: project }
  const url = fact(await parts.start('detector', ['--port', '0'], where), 'url')
  await untilLoaded(url, model.version, context.signal)
  const ids = (await control.images(project, { state: 'inbox', limit: IMAGES })).map(({ id }) => id)
  const before = await control.imageCount(project, 'inbox')
  const half = Math.ceil(ids.length / 2)
  const rest = await inTurn(ids.slice(0, half), control, project, (image, id) => byRest(url, image, id))
  const socket = await bySocket(url, ids.slice(half), control, project)
  const found = [...rest.found, ...socket.found]
  const uncertain = found.filter(isUncertain).length
  const arrived = await untilArrived(before, uncertain, () => control.imageCount(project, 'inbox'), context.signal)
  return {
    model_version: model.version,
    images: found.length,
    boxes: found.reduce((sum, { box_detections }) => sum + box_detections.length, 0),
    ms: { rest: medianOf(rest.ms), socket: medianOf(socket.ms) },
    uncertain,
    arrived,
  }
}

type Row = { readonly found: Found[]; readonly ms: number[] }
type Ask = (image: Buffer, id: string) => Promise<unknown>

async function inTurn(ids: readonly string[], control: LoopControl, project: string, ask: Ask): Promise<Row> {
  const row: Row = { found: [], ms: [] }
  for (const id of ids) {
    const image = await control.image(project, id)
    const startedAt = performance.now()
    row.found.push(foundSchema.parse(await ask(image, id)))
    row.ms.push(performance.now() - startedAt)
  }
  return row
}

// A camera of its own per image: otherwise what was seen in one image is no news in the next.
async function byRest(url: string, image: Buffer, id: string): Promise<unknown> {
  const form = new FormData()
  form.append('file', image, { filename: `${id}.jpg`, contentType: 'image/jpeg' })
  const headers = { ...form.getHeaders(), 'camera-id': id }
  return (await axios.post(`${url}/detect`, form, { headers, proxy: false })).data
}

async function bySocket(url: string, ids: readonly string[], control: LoopControl, project: string): Promise<Row> {
  const socket = io(url, { path: '/ws/socket.io', transports: ['websocket'], reconnection: false })
  try {
    return await inTurn(ids, control, project, (image, id) =>
      socket.timeout(10_000).emitWithAck('detect', { image, camera_id: id, 'camera-id': id }),
    )
  } finally {
    socket.disconnect()
  }
}

function isUncertain({ box_detections }: Found): boolean {
  return box_detections.some(({ confidence }) => confidence >= UNCERTAIN.from && confidence <= UNCERTAIN.to)
}

async function untilLoaded(url: string, version: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + LOADED_WITHIN_MS
  for (;;) {
    const { data } = await axios.get(`${url}/model_version`, { proxy: false })
    if (versionSchema.parse(data).current_version === version) return
    if (performance.now() > deadline) {
      throw new LoopfleetError('LF_DEMO_FAILED', `The detector did not load model ${version}; its log says why.`)
    }
    await sleep(100, undefined, { signal })
  }
}

async function untilArrived(before: number, wanted: number, count: () => Promise<number>, signal: AbortSignal) {
  const deadline = performance.now() + ARRIVED_WITHIN_MS
  for (;;) {
    const arrived = (await count()) - before
    if (arrived >= wanted || performance.now() > deadline) return arrived
    await sleep(200, undefined, { signal })
  }
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 10) / 10
}

import sharp from 'sharp'
import { messageOf } from '../../../../base/index.js'
import { cutCells } from './cut.js'
import { openCvReason } from './open-cv.js'
import { outlineOf } from './outline.js'
import type { ProposalAnswer, ProposalRequest } from './proposal.js'
import { refine } from './refine.js'
import { readRegion } from './region.js'

// Entry of a pool thread. Every failure is an answer, so that the thread lives on.
sharp.concurrency(1) // the pool is the parallelism

/** Outlines what stands out in the box; without a request it only warms the thread up. */
export async function propose(request: ProposalRequest | undefined): Promise<ProposalAnswer> {
  if (request === undefined) {
    await warmUp()
    return { ok: true, outline: undefined }
  }
  let region: Awaited<ReturnType<typeof readRegion>>
  try {
    region = await readRegion(request)
  } catch (error) {
    return { ok: false, message: `The image cannot be read: ${messageOf(error)}.` }
  }
  if (region === undefined) return { ok: true, outline: undefined }
  const { x, y } = region
  try {
    const cells = await cutCells(region, request)
    const outline = await outlineOf(refine(region, cells), region, request.epsilon)
    return { ok: true, outline: outline?.map((point) => ({ x: point.x + x, y: point.y + y })) }
  } catch (error) {
    return { ok: false, message: `OpenCV failed: ${await openCvReason(error)}.` }
  }
}

/** Cuts a made-up square once, since the first cut of a thread takes several times as long as all others. */
async function warmUp(): Promise<void> {
  const size = { width: 120, height: 120 }
  const box = { x: 30, y: 30, width: 60, height: 60 }
  const pixels = Uint8Array.from({ length: size.width * size.height * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % size.width, Math.floor(at / 3 / size.width)]
    const isSquare = x > 35 && x < 85 && y > 35 && y < 85
    return (isSquare ? 180 : 60) + ((at * 7) % 23)
  })
  const region = { x: 0, y: 0, ...size, pixels, area: box }
  const cells = await cutCells(region, { imagePath: '', box, strokes: [], outline: undefined, epsilon: null })
  await outlineOf(refine(region, cells), region, null)
}

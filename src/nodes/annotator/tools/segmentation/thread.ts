import sharp from 'sharp'
import { messageOf } from '../../../../base/errors.js'
import { cutCells } from './cut.js'
import { openCv, openCvReason } from './open-cv.js'
import { outlineOf } from './outline.js'
import type { ProposalAnswer, ProposalRequest } from './proposal.js'
import { refine } from './refine.js'
import { readRegion } from './region.js'

// Entry of a pool thread. Every failure is an answer, so that the thread lives on.
sharp.concurrency(1) // the pool is the parallelism

/** Outlines what stands out in the box; without a request it only warms the thread up. */
export async function propose(request: ProposalRequest | undefined): Promise<ProposalAnswer> {
  if (request === undefined) {
    await openCv()
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

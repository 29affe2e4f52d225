import { setTimeout as sleep } from 'node:timers/promises'
import { backOffMs } from '../../base/index.js'
import { type ImageUpload, isContentRefusal, type UploadImage } from '../../loop/client/index.js'
import { type Entry, readEntry } from './entries.js'

/** An entry that was read and can be sent. */
type ReadyImage = UploadImage & { readonly entry: Entry }

export type BatchDeps = {
  readonly upload: ImageUpload
  /** The Loop has accepted these. */
  readonly onAccepted: (entries: readonly Entry[]) => Promise<void>
  /** This image can never be sent. */
  readonly onUnfit: (entry: Entry, reason: string) => Promise<void>
  readonly onVanished: (entry: Entry) => void
  readonly bisectPauseMs: number
}

const MAX_BISECT_PAUSE_MS = 5_000

/** Sends a batch; a refused one is halved until each unfit image is alone. Throws if the Loop does not answer. */
export async function sendBatch(batch: readonly Entry[], deps: BatchDeps, signal: AbortSignal): Promise<void> {
  const prepared = await Promise.all(batch.map((entry) => prepare(entry, deps)))
  const ready = prepared.filter((image) => image !== undefined)
  // The halves that are still to be sent, the next one last; the refusals since the Loop has accepted an image.
  const waiting = ready.length === 0 ? [] : [ready]
  let refusals = 0
  for (let images = waiting.pop(); images !== undefined; images = waiting.pop()) {
    signal.throwIfAborted()
    const refusal = await tryToSend(images, deps.upload, signal)
    if (refusal === undefined) {
      refusals = 0
      await deps.onAccepted(images.map(({ entry }) => entry))
      continue
    }
    const [first] = images
    if (images.length === 1 && first !== undefined) await deps.onUnfit(first.entry, refusal)
    else waiting.push(...halves(images).reverse())
    refusals += 1
    if (waiting.length > 0) await pause(refusals, deps.bisectPauseMs, signal)
  }
}

async function prepare(entry: Entry, deps: BatchDeps): Promise<ReadyImage | undefined> {
  const content = await readEntry(entry)
  switch (content.kind) {
    case 'whole':
      return { entry, name: entry.name, metadata: content.metadata, imagePath: content.imagePath }
    case 'broken':
      await deps.onUnfit(entry, content.problem)
      return undefined
    case 'vanished':
      deps.onVanished(entry)
      return undefined
    default:
      return content satisfies never
  }
}

/** Sends the images; returns why the Loop refuses them, or undefined if it has accepted them. */
async function tryToSend(
  images: readonly ReadyImage[],
  upload: ImageUpload,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await upload.upload(images, { signal })
    return undefined
  } catch (error) {
    if (isContentRefusal(error)) return error.message
    throw error
  }
}

function halves<T>(items: readonly T[]): T[][] {
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)]
}

async function pause(refusals: number, firstMs: number, signal: AbortSignal): Promise<void> {
  if (firstMs === 0) return
  await sleep(backOffMs(refusals, { firstMs, maxMs: MAX_BISECT_PAUSE_MS }), undefined, { signal })
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLogger } from '../../../src/base/logger/logger.js'
import type { OutboxOptions } from '../../../src/detector/outbox/options.js'
import { createOutbox, type Outbox } from '../../../src/detector/outbox/outbox.js'
import { createImageUpload } from '../../../src/loop/client/images/image-upload.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import type { Dialect } from '../../../src/loop/protocol/index.js'
import { type HttpLoop, json, type Reply, type SeenRequest, startHttpLoop } from '../../helpers/http-loop.js'
import { parseMultipart } from '../../helpers/multipart.js'

export type OutboxWorld = {
  /** An outbox that sends to a server of ours, started and stopped with the test. */
  open(options: Partial<OutboxOptions> & { folder: string }, host: string, dialect?: Dialect): Promise<Outbox>
  serve(answer?: (images: SentImage[], request: SeenRequest) => Reply | Promise<Reply>): Promise<TakingLoop>
}

export type SentImage = { readonly name: string; readonly metadata: Record<string, unknown>; readonly bytes: Buffer }
export type TakingLoop = HttpLoop & {
  /** What was answered with 200, request by request. */
  readonly taken: SentImage[][]
}

/** Outboxes and servers of a suite, closed after each test. */
export function useOutboxes(): OutboxWorld {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })
  const log = silentLogger()
  return {
    async open(options, host, dialect) {
      const session = createLoopSession({ host }, { log })
      closers.push(() => session.close())
      const upload = createImageUpload({ organization: 'acme', project: 'demo', dialect }, { session })
      const quick = { retryFirstMs: 20, retryMaxMs: 100, bisectPauseMs: 0, stopGraceMs: 1000 }
      const outbox = createOutbox({ ...quick, ...options }, { upload, log, now: Date.now })
      closers.push(() => outbox.stop())
      await outbox.start({ signal: new AbortController().signal })
      return outbox
    },
    async serve(answer = () => json({})) {
      const taken: SentImage[][] = []
      const loop = await startHttpLoop(async (request) => {
        const images = sentImages(request)
        const reply = await answer(images, request)
        if ((reply.status ?? 200) === 200 && reply.silent !== true && reply.cut !== true) taken.push(images)
        return reply
      })
      closers.push(() => loop.close())
      return { ...loop, taken }
    },
  }
}

/** A host where nobody listens. */
export const NOBODY = '127.0.0.1:9'

export function image(number: number, size = 200): { image: { bytes: Uint8Array }; metadata: { number: number } } {
  return { image: { bytes: Buffer.alloc(size, `image ${number} `) }, metadata: { number } }
}

export function numbersOf(requests: readonly (readonly SentImage[])[]): unknown[] {
  return requests.flat().map(({ metadata }) => metadata.number)
}

/** Puts an entry on disk as another program would. */
export async function putEntry(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}

function sentImages(request: SeenRequest): SentImage[] {
  const parts = parseMultipart(request)
  const images: SentImage[] = []
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [metadata, jpeg] = [parts[at], parts[at + 1]]
    if (metadata === undefined || jpeg === undefined) throw new Error('a part is missing')
    images.push({ name: jpeg.filename, metadata: JSON.parse(metadata.data.toString()), bytes: jpeg.data })
  }
  return images
}

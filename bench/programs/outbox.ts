// Our outbox, against the Loop at the address of the first argument.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { silentLogger } from '../../src/base/logger/logger.js'
import { createOutbox } from '../../src/detector/outbox/outbox.js'
import { createImageUpload } from '../../src/loop/client/images/image-upload.js'
import { createLoopSession } from '../../src/loop/client/session/session.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const log = silentLogger()
const session = createLoopSession({ host: process.argv[2] ?? '' }, { log })
const upload = createImageUpload({ organization: 'o', project: 'p' }, { session })
const taskSchema = z.object({
  folder: z.string(),
  images: z.array(z.string()),
  count: z.int(),
  /** 0: all are saved first, and then sent. */
  perSecond: z.int(),
  /** Only writes each image to a file and syncs it, to see what the disk and the machine take. */
  isBare: z.boolean().default(false),
})
const metadata = { box_detections: [], tags: ['bench'] }

await doTasks(taskSchema, async ({ folder, images, count, perSecond, isBare }) => {
  const jpegs = await Promise.all(images.map((path) => readFile(path)))
  const jpegOf = (number: number) => jpegs[number % jpegs.length] ?? Buffer.alloc(0)
  if (isBare) {
    await mkdir(folder, { recursive: true })
    const write = (number: number) => writeFile(join(folder, `${number}.jpg`), jpegOf(number), { flush: true })
    return { seconds: 0, saveMs: await eachInTime(count, perSecond, write) }
  }
  const mode = perSecond === 0 ? 'stopped' : 'continuous_upload'
  const outbox = createOutbox({ folder, mode, maxImages: count }, { upload, log, now: Date.now })
  await outbox.start({ signal: new AbortController().signal })
  const saveMs = await eachInTime(count, perSecond, (number) =>
    outbox.save({ image: { bytes: jpegOf(number) }, metadata }),
  )
  const seconds = await secondsOf(async () => {
    await outbox.setMode('continuous_upload')
    while (outbox.status().uploaded < count) await sleep(5)
  })
  await outbox.stop()
  return { seconds, saveMs }
})
session.close()

/** Milliseconds that each call takes; the calls begin at this rate, or one after the other. */
async function eachInTime(
  count: number,
  perSecond: number,
  work: (number: number) => Promise<unknown>,
): Promise<number[]> {
  const tookMs: number[] = []
  const startedAt = performance.now()
  for (let number = 0; number < count; number += 1) {
    if (perSecond > 0) await sleep(Math.max(0, startedAt + (number * 1000) / perSecond - performance.now()))
    tookMs.push((await secondsOf(() => work(number))) * 1000)
  }
  return tookMs
}

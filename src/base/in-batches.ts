import { setImmediate as nextTurn } from 'node:timers/promises'

/** What a source has brought while its reader was busy, as one list; nothing of it is lost, and the source's error comes last. */
export async function* inBatches<Item>(source: AsyncIterable<Item>): AsyncGenerator<Item[], void, void> {
  let batch: Item[] = []
  let isOver = false
  let wake: () => void = () => undefined

  async function readAll(): Promise<void> {
    try {
      for await (const item of source) {
        batch.push(item)
        wake()
      }
    } finally {
      isOver = true
      wake()
    }
  }

  const reading = readAll()
  reading.catch(() => undefined) // thrown below, once its reader has what came before
  for (;;) {
    await nextTurn() // what one read has brought comes together
    if (batch.length > 0) {
      const all = batch
      batch = []
      yield all
    } else if (isOver) return await reading
    else await new Promise<void>((resolve) => (wake = resolve))
  }
}

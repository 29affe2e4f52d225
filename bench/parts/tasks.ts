import process from 'node:process'
import { createInterface } from 'node:readline'
import type { z } from 'zod'

/** The other end of a measured child: does each task that comes in and answers it, until the input ends. */
export async function doTasks<Schema extends z.ZodType>(
  schema: Schema,
  work: (task: z.output<Schema>) => Promise<object>,
): Promise<void> {
  process.stdout.write('ready\n')
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await work(schema.parse(JSON.parse(line)))
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
}

/** Seconds that the work takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

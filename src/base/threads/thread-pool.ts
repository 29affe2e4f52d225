import type { ResourceLimits } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { Logger } from '../logger/index.js'

export type ThreadPoolOptions = {
  readonly file: URL
  /** The function of the file that runs a task. */
  readonly task: string
  readonly threads: number
  readonly resourceLimits?: ResourceLimits
}

/** Starts its threads immediately and keeps them; each runs one task at a time. */
export async function openThreadPool(options: ThreadPoolOptions, deps: { readonly log: Logger }): Promise<Piscina> {
  const { file, task, threads, resourceLimits } = options
  const { Piscina } = await import('piscina')
  const pool = new Piscina({
    filename: file.href,
    name: task,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    ...(resourceLimits === undefined ? {} : { resourceLimits }),
  })
  pool.on('error', (err: unknown) => deps.log.warn({ err, task }, 'an idle thread failed'))
  return pool
}

/** The entry file of threads beside a module. A module that runs from its TypeScript source starts them from source too. */
export function threadFileBeside(moduleUrl: string): URL {
  return new URL(moduleUrl.endsWith('.ts') ? './thread.ts' : './thread.js', moduleUrl)
}
